import { notHere, passed, refused, type Target, type Variant } from './attack.ts'
import { request } from './request.ts'

/** Targets that begin like a route's prefix, or are another spelling of it. */
export function prefixVariants (target: Target): Variant[] {
  const { prefix } = target
  const name = prefix.slice(1)
  const { path } = target.plain
  const first = `%${prefix.charCodeAt(1).toString(16)}${name.slice(1)}`
  const double = `%25${prefix.charCodeAt(1).toString(16)}${name.slice(1)}`
  const others = [
    `${prefix}x`,
    `${prefix}x/`,
    `${prefix}.`,
    `${prefix}-`,
    `${prefix};`,
    `${prefix};x`,
    `${prefix}%20`,
    `${prefix}%2f`,
    `${prefix}%2ftxs`,
    `${prefix}%2F`,
    `${prefix}%252f`,
    `${prefix}+`,
    `/x${prefix}`,
    `/%2f${name}`,
    `/${double}`,
    `/;${prefix}`,
    `/%20${name}`,
    `${prefix}%3f`,
    `${prefix}@`,
    `${prefix}~`,
    `${prefix},`,
    `${prefix}:80`,
    ...(name.toUpperCase() === name ? [] : [`/${name.toUpperCase()}`])
  ]
  return [
    ...others.flatMap((spelling) =>
      ['', path]
        // A target that begins like the prefix may belong to another route's longer prefix.
        .map((rest) => ({ what: spelling + rest, bytes: request(target, { target: spelling + rest }), must: notHere([400, 403, 404]) }))
    ),
    // A harmless spelling gets the verdict of the plain one.
    { what: `/${first}${path}`, bytes: request(target, { target: `/${first}${path}` }), must: passed() },
    ...[
      `/.${prefix}`,
      `/x/..${prefix}`,
      `/${prefix}`,
      `${prefix}/../${name}`,
      `${prefix}\\`,
      `${prefix}%5c`,
      `${prefix}#`,
      `${prefix}?#`,
      `${prefix}${path}?a=1#b`,
      `${prefix}%00`,
      `${prefix}%`,
      `\\${name}`,
      `${prefix}\t`
    ].map((spelling) => ({ what: JSON.stringify(spelling), bytes: request(target, { target: spelling }), must: refused([400]) }))
  ]
}

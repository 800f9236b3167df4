import { isAllowed } from '../auth/allow.ts'
import { held } from './allowed.ts'
import { passed, refused, type Attack, type Target, type Variant } from './attack.ts'
import { PROTOCOLS } from './protocols.ts'
import { EVIL, request, WEBSOCKET } from './request.ts'

/** Attacks on a route's allow list and on the rules about methods. */
export const POLICY: readonly Attack[] = [
  {
    id: 'P5',
    name: 'around the allow list by another spelling',
    advisory: 'CVE-2026-120213, CVE-2026-33494',
    why: 'A list that is matched on one form of the path while another one is sent lets everything through.',
    variants: (target) => (target.allow === undefined ? [] : listed(target))
  },
  {
    id: 'P6',
    name: 'paths that the allow list does not hold',
    advisory: 'CVE-2026-42882',
    why: 'A local program that may read is made to write: what is not listed must not go out, whatever is said beside it.',
    variants: (target) =>
      target.allow === undefined
        ? []
        : held(target, `/${EVIL}`)
          .flatMap((path) =>
            [
              [],
              [`X-Original-URL: ${target.plain.path}`],
              [`X-Rewrite-URL: ${target.plain.path}`],
              [`X-Forwarded-Uri: ${target.plain.path}`],
              [`X-Forwarded-Path: ${target.plain.path}`],
              [`X-Envoy-Original-Path: ${target.plain.path}`],
              [`Referer: ${target.plain.path}`]
            ].map((lines) => {
              return { what: [path, ...lines].join(', '), bytes: request(target, { path, lines }), must: refused(403, 'CS_NOT_ALLOWED') }
            })
          )
          .concat(
            ['?', '?/', `?${target.plain.path}`].flatMap((query) =>
              held(target, `/${EVIL}`).map((path) => ({
                what: path + query,
                bytes: request(target, { path: path + query }),
                must: refused(403, 'CS_NOT_ALLOWED')
              }))
            )
          )
  },
  {
    id: 'P10',
    name: 'a listed request that names another one',
    why: 'Frameworks that honour override headers do something else than what the list has let through.',
    variants: (target) =>
      target.allow === undefined
        ? []
        : [
            'X-HTTP-Method-Override',
            'X-HTTP-Method',
            'X-Method-Override',
            'x_http_method_override',
            'X-HTTP_METHOD-Override',
            'X-Original-URL',
            'X-Rewrite-URL',
            'X-Forwarded-Method'
          ].map((name) => {
            return { what: `${name}: ${EVIL}`, bytes: request(target, { lines: [`${name}: ${EVIL}`] }), must: passed({ without: [EVIL] }) }
          })
  },
  {
    id: 'P12',
    name: 'methods that are not listed, or never forwarded',
    why: 'TRACE echoes the credentials, CONNECT opens a tunnel, and a method in another case or an override is not the one that was listed.',
    variants: (target) => [
      ...['', 'Max-Forwards: 0'].flatMap((line) => [
        {
          what: `TRACE ${line}`,
          bytes: request(target, { method: 'TRACE', lines: line === '' ? [] : [line] }),
          must: refused(405, 'CS_METHOD_NOT_ALLOWED')
        },
        {
          what: `TRACE with a body ${line}`,
          bytes: request(target, { method: 'TRACE', lines: ['Content-Length: 2', ...(line === '' ? [] : [line])], body: 'ab' }),
          must: refused(405)
        }
      ]),
      { what: 'TRACE as an upgrade', bytes: request(target, { method: 'TRACE', lines: WEBSOCKET }), must: refused(405) },
      ...[
        'post',
        'get',
        'Post',
        'trace',
        'connect',
        'TRACK',
        'DEBUG',
        'INVENTED',
        'GETX',
        'G',
        '__proto__',
        'GET\0',
        'GÉT',
        'GET\x0b',
        '"GET"',
        'PRI',
        '',
        ' GET',
        '\tGET',
        '*'
      ].map((method) => ({ what: JSON.stringify(method), bytes: request(target, { method }), must: refused([400, 403, 405]) })),
      ...otherMethods(target).flatMap((method) =>
        [
          [],
          [`X-HTTP-Method-Override: ${target.plain.method}`],
          [`X-HTTP-Method: ${target.plain.method}`],
          [`X-Method-Override: ${target.plain.method}`],
          ['Content-Length: 0']
        ].map((lines) => {
          return { what: [method, ...lines].join(', '), bytes: request(target, { method, lines }), must: refused(403, 'CS_NOT_ALLOWED') }
        })
      )
    ]
  },
  ...PROTOCOLS
]

/** Ways to write a path of the list so that it is another one, and paths beside it. */
function listed (target: Target): Variant[] {
  const plain = target.plain.path
  const [, first = ''] = plain.split('/')
  const last = plain.slice(plain.lastIndexOf('/') + 1)
  const head = plain.slice(0, plain.length - last.length)
  const escape = (text: string): string => text === '' ? '%2f' : `%${text.charCodeAt(0).toString(16)}${text.slice(1)}`
  const spellings = [
    `${plain}/`,
    `${plain}/${EVIL}`,
    `${plain}%2f`,
    `${plain}%2f${EVIL}`,
    `${plain}%2F${EVIL}`,
    `${plain}%252f${EVIL}`,
    `${plain}%25252F${EVIL}`,
    `${plain};`,
    `${plain};x=1`,
    `${plain}%3b`,
    `${plain}.json`,
    `${plain}%20`,
    `${plain}+`,
    `/${EVIL}${plain}`,
    `/${escape(first)}${plain.slice(first.length + 1)}`,
    `${head}${escape(last)}`,
    plain.toUpperCase(),
    `${plain}//`,
    `${head}/${last}`,
    `${plain}*`,
    `${plain}%3f`,
    `${plain}%23`,
    `/*${plain}`,
    `/**${plain}`,
    `${plain},${EVIL}`,
    `${plain}|`,
    `${head}a%2Fadmin`,
    `${head}a%2fadmin`,
    `${head}a%252Fadmin`,
    ...['%25%32%66', '%252%66', '%2%66', '%EF%BC%8F', '%25EF%25BC%258F', '%E2%88%95', '%255c', '%25c0%25af', '%25u002f'].map(
      (slash) => `${head}a${slash}admin`
    )
  ]
  return [
    ...[...new Set(spellings)]
      .flatMap((path) => held(target, path))
      .map((path) => ({ what: path, bytes: request(target, { path }), must: refused([400, 403]) })),
    ...['/..', '/%2e%2e', '/..%2f', '/.%2e', '/%252e%252e', '/..;', '/..%5c', '\\..', '/.'].map((way) => ({
      what: `${plain}${way}/${EVIL}`,
      bytes: request(target, { path: `${plain}${way}/${EVIL}` }),
      must: refused([400, 403])
    }))
  ]
}

function otherMethods ({ allow, plain }: Target): string[] {
  return allow === undefined
    ? []
    : [
        'GET',
        'POST',
        'PUT',
        'DELETE',
        'PATCH',
        'HEAD',
        'OPTIONS',
        'PROPFIND',
        'MKCOL',
        'REPORT',
        'QUERY',
        'SEARCH',
        'PURGE',
        'LINK',
        'M-SEARCH'
      ].filter((method) => !isAllowed(allow, method, plain.path))
}

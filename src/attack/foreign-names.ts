import { cutOff, refused, type Target, type Variant } from './attack.ts'
import { EVIL_HOST, ownHost, request } from './request.ts'

/** Requests whose Host is well formed and names no listener of this proxy. */
export function foreignHosts (target: Target): Variant[] {
  const { port } = target
  return [...likeOurNames(port), ...otherSpellingsOfLoopback(port), ...otherPorts(port), ...oddTexts(port)]
    .filter((host) => !isListed(target, host))
    .map((host) => ({
      what: `Host: ${host}`,
      bytes: request(target, { host: Buffer.from(host, 'utf8').toString('latin1') }),
      must: refused([400, 421])
    }))
}

function likeOurNames (port: number): string[] {
  return [
    `localhost.${EVIL_HOST}:${port}`,
    `127.0.0.1.${EVIL_HOST}:${port}`,
    `127.0.0.1.nip.io:${port}`,
    `xlocalhost:${port}`,
    `localhostx:${port}`,
    `localhost.:${port}`,
    `127.0.0.1.:${port}`,
    `LOCALHOST.:${port}`,
    `${EVIL_HOST}#localhost:${port}`,
    `localhost#${EVIL_HOST}`,
    `localhost@${EVIL_HOST}`,
    `localhost:${port}@${EVIL_HOST}`,
    `${EVIL_HOST}@localhost:${port}`,
    `user@127.0.0.1:${port}`,
    `@localhost:${port}`,
    `localhost:@${EVIL_HOST}`
  ]
}

function otherSpellingsOfLoopback (port: number): string[] {
  return [
    `127.1:${port}`,
    `127.0.1:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `0x7f.0.0.1:${port}`,
    `0177.0.0.1:${port}`,
    `017700000001:${port}`,
    `127.000.000.001:${port}`,
    `127.0.0.2:${port}`,
    `0:${port}`,
    `0.0.0.0:${port}`,
    `[::]:${port}`,
    `[0:0:0:0:0:0:0:1]:${port}`,
    `[::0001]:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[::ffff:7f00:1]:${port}`,
    `[::1%lo]:${port}`,
    `[::1%25lo]:${port}`,
    `[127.0.0.1]:${port}`,
    `[localhost]:${port}`
  ]
}

function otherPorts (port: number): string[] {
  const other = port === 65535 ? port - 1 : port + 1
  return [
    `localhost:${other}`,
    `127.0.0.1:${other}`,
    `[::1]:${other}`,
    `localhost:0${port}`,
    `localhost:${port}0`,
    'localhost:',
    'localhost:80',
    'localhost',
    '127.0.0.1',
    '[::1]',
    'localhost:0',
    `:${port}`,
    ''
  ]
}

function oddTexts (port: number): string[] {
  return [
    '*',
    '.',
    'null',
    'undefined',
    '__proto__',
    'constructor',
    `constructor:${port}`,
    `127。0。0。1:${port}`,
    `lo%63alhost:${port}`,
    `localhost%00.${EVIL_HOST}:${port}`,
    `localhost%2e${EVIL_HOST}:${port}`,
    `localhost;${EVIL_HOST}`,
    `localhost!:${port}`,
    `localhost&${EVIL_HOST}`,
    `'localhost':${port}`,
    `"localhost":${port}`
  ]
}

/** Requests without a Host, with several, or with one that is no name. */
export function malformedHosts (target: Target, more: readonly string[] = []): Variant[] {
  const own = ownHost(target)
  const method = more.length > 0 ? 'GET' : target.plain.method
  const lines: ReadonlyArray<readonly [what: string, host: string | null, lines: readonly string[]]> = [
    ['no Host', null, []],
    ['two Hosts, both ours', own, [`Host: ${own}`]],
    ['two Hosts, the second foreign', own, [`Host: ${EVIL_HOST}`]],
    ['two Hosts, the first foreign', EVIL_HOST, [`Host: ${own}`]],
    ['two Hosts, another case', own, [`hOST: ${EVIL_HOST}`]],
    ['two Hosts in one line', `${own}, ${EVIL_HOST}`, []],
    ['two Hosts in one line, a blank between', `${own} ${EVIL_HOST}`, []],
    ['a tab in Host', `${own}\t${EVIL_HOST}`, []],
    ['a path in Host', `${own}/`, []],
    ['a backslash in Host', `${own}\\`, []],
    ['a URL as Host', `http://${own}`, []],
    ['a query in Host', `${own}?`, []],
    ['a port that is none', 'localhost:port', []],
    ['a negative port', `localhost:-${target.port}`, []],
    ['two ports', `${own}:80`, []],
    ['a port beyond 65535', `localhost:${target.port + 65536}`, []]
  ]
  return lines.map(([what, host, extra]) => ({
    what,
    bytes: request(target, { method, host, lines: [...extra, ...more] }),
    must: what.startsWith('no Host') || what.startsWith('two Hosts,') ? cutOff() : refused([400, 421])
  }))
}

/** Targets in absolute form, with the Host beside each. */
export function absoluteTargets (target: Target): Array<readonly [to: string, host: string]> {
  const own = ownHost(target)
  const path = target.prefix + target.plain.path
  return [
    [`http://${EVIL_HOST}${path}`, own],
    [`http://${own}${path}`, EVIL_HOST],
    [`http://${own}${path}`, own],
    [`HTTP://${own}${path}`, own],
    [`https://${own}${path}`, own],
    [`http://${own}@${EVIL_HOST}${path}`, own],
    [`http:${path}`, own],
    [`http:/${path}`, own],
    [`ws://${own}${path}`, own],
    [`file://${path}`, own],
    [`javascript:${path}`, own],
    [`${own}${path}`, own],
    [own, own]
  ]
}

/** Origins that the proxy does not allow. */
export function foreignOrigins (target: Target): string[] {
  const own = ownHost(target)
  const { port } = target
  return [
    `https://${EVIL_HOST}`,
    `http://${EVIL_HOST}:${port}`,
    'null',
    'NULL',
    '',
    `https://${own}`,
    `http://localhost:${port}`,
    `http://127.0.0.1:${port === 1 ? 2 : 1}`,
    'http://127.0.0.1',
    `http://${own}.${EVIL_HOST}`,
    `http://${own}@${EVIL_HOST}`,
    `http://${EVIL_HOST}#${own}`,
    `http://${own}/`,
    `http://${own}:`,
    `//${own}`,
    own,
    `ws://${own}`,
    `file://${own}`,
    'file://',
    `chrome-extension://${EVIL_HOST}`,
    '*',
    `http://[::1]:${port}`,
    `http://[::ffff:127.0.0.1]:${port}`
  ].filter((origin) => !target.allowedOrigins.includes(origin))
}

// The owner may have listed a name that looks strange to us.
function isListed ({ allowedHosts }: Target, host: string): boolean {
  const name = host.toLowerCase()
  return allowedHosts.includes(name) || allowedHosts.includes(name.replace(/:\d*$/, ''))
}

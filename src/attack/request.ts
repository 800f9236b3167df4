import type { Target } from './attack.ts'

/** The parts in which a request differs from the plain one. */
export interface RequestParts {
  readonly method?: string
  /** The path below the prefix, and a query. */
  readonly path?: string
  /** The whole target instead. */
  readonly target?: string
  readonly version?: string
  /** Instead of this listener's own; null leaves it out. */
  readonly host?: string | null
  /** Further header lines, without their line ends. */
  readonly lines?: readonly string[]
  /** False: without the caller token. */
  readonly token?: false
  /** Behind the empty line. */
  readonly body?: string
}

/** The text of an attacker's own values, to search for in places where they must not be. */
export const EVIL = 'attacker4711'

/** A host that is nobody's (RFC 2606). */
export const EVIL_HOST = 'attacker4711.example'

/** Writes a request that the route lets through, but for the given parts. Nothing is checked or encoded. */
export function request (target: Target, parts: RequestParts = {}): string {
  const { method = target.plain.method, path = target.plain.path, version = 'HTTP/1.1', host = ownHost(target) } = parts
  return [
    `${method} ${parts.target ?? target.prefix + path} ${version}`,
    ...(host === null ? [] : [`Host: ${host}`]),
    ...target.lines,
    ...(target.callerToken === undefined || parts.token === false ? [] : [`X-Countersign-Token: ${target.callerToken}`]),
    ...parts.lines ?? [],
    '',
    parts.body ?? ''
  ].join('\r\n')
}

/** The Host that a client of the proxy sends. */
export function ownHost (target: Target): string {
  return `127.0.0.1:${target.port}`
}

/** A request for the admin listener, which wants no caller token. */
export function adminRequest (
  target: Target,
  method: string,
  path: string,
  { host, lines = [] }: { readonly host?: string, readonly lines?: readonly string[] } = {}
): string {
  return [`${method} ${path} HTTP/1.1`, `Host: ${host ?? `127.0.0.1:${target.adminPort ?? 0}`}`, ...lines, '', ''].join('\r\n')
}

/** The header lines of a WebSocket handshake (RFC 6455 section 4.1). */
export const WEBSOCKET: readonly string[] = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13'
]

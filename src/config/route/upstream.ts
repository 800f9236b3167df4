import { readBaseUrl } from './base-url.ts'

/** The address of an upstream. */
export interface Upstream {
  /** Base URL without a trailing slash. */
  readonly upstream: string
  /** The unix socket that it listens on; the base URL is `http://localhost…` then. */
  readonly socketPath?: string
}

export type UpstreamResult =
  | { readonly ok: true, readonly value: Upstream }
  /** The problem and its remedy; never holds the text. */
  | { readonly ok: false, readonly problem: string }

const FORM = 'write unix:/path/to.sock, or unix:/path/to.sock:/base'
// Longer ones do not fit into sockaddr_un (unix(7): 108 bytes on Linux, 104 on macOS).
const LONGEST_SOCKET_PATH = 103

/**
 * Reads an upstream: a base URL, or a unix socket with an optional base path behind another colon, as nginx writes it.
 * A socket is on this machine, so plain HTTP over it needs no permission; `Host` is `localhost`.
 */
export function readUpstream (text: string, allowInsecure: boolean): UpstreamResult {
  if (!text.startsWith('unix:')) {
    const result = readBaseUrl(text, allowInsecure, 'allowInsecureUpstream')
    return result.ok ? { ok: true, value: { upstream: result.url } } : result
  }
  const [, socketPath = '', base = ''] = /^unix:(\/[^:]*)(?::(\/.*)?)?$/s.exec(text) ?? []
  // eslint-disable-next-line no-control-regex -- the very thing to find
  if (socketPath === '' || socketPath.endsWith('/') || /[\0-\x1f\x7f]/.test(socketPath)) {
    return { ok: false, problem: `is no unix socket; ${FORM}` }
  }
  if (Buffer.byteLength(socketPath) > LONGEST_SOCKET_PATH) {
    return { ok: false, problem: `has a path longer than ${LONGEST_SOCKET_PATH} bytes, which no socket can have; choose a shorter one` }
  }
  const result = readBaseUrl(`http://localhost${base}`, false, '')
  return result.ok ? { ok: true, value: { upstream: result.url, socketPath } } : result
}

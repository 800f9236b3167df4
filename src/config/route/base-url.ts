import { isLoopbackHost } from '../../http/address.ts'
import { ProxyError } from '../../errors.ts'
import { judgePath } from '../../http/target.ts'

export type BaseUrlResult =
  | { readonly ok: true, readonly url: string }
  /** The problem and its remedy; never holds the text. */
  | { readonly ok: false, readonly problem: string }

/**
 * Reads the base URL of an upstream or an identity provider: `https:`, or `http:` to loopback or where that is allowed.
 * No query, fragment or user info. The URL is sent in these very bytes: one that the parser would change is refused, since the
 * checked URL would not be the sent one.
 *
 * @param allowInsecure whether other `http:` is allowed
 * @param insecureKey the key that would allow it, for the message
 * @returns the URL without a trailing slash, its scheme and host in lower case, a default port left out
 */
export function readBaseUrl (text: string, allowInsecure: boolean, insecureKey: string): BaseUrlResult {
  const problem = problemOfText(text)
  if (problem !== undefined) return { ok: false, problem }
  const [, scheme = '', authority = '', rest = ''] = /^(https?):\/\/([^/]+)(\/.*)?$/i.exec(text) ?? []
  if (scheme === '') return { ok: false, problem: 'is no base URL; write https://host, https://host:port or https://host/path' }
  if (authority.includes('@')) return { ok: false, problem: 'holds user info; remove it and use a credential' }
  const url = parseUrl(text)
  const defaultPort = scheme.toLowerCase() === 'https' ? ':443' : ':80'
  const host = authority.toLowerCase()
  if (url === undefined || (host.endsWith(defaultPort) ? host.slice(0, -defaultPort.length) : host) !== url.host) {
    return {
      ok: false,
      problem:
        'has a host that readers take differently; write a plain name (punycode for international ones), 192.0.2.1 or [2001:db8::1], and a port from 1 to 65535'
    }
  }
  if (url.protocol === 'http:' && !allowInsecure && !isLoopbackHost(url.hostname)) {
    return {
      ok: false,
      problem: `is http: to another machine, which sends credentials in the clear; use https:, or set ${insecureKey} to true in the configuration file`
    }
  }
  const path = rest.endsWith('/') ? rest.slice(0, -1) : rest
  const pathProblem = problemOfPath(rest)
  if (pathProblem !== undefined) return { ok: false, problem: pathProblem }
  if (path !== '' && path !== new URL(url.origin + path).pathname) {
    return { ok: false, problem: 'has a path that would be sent in other bytes; percent-encode it (RFC 3986 section 3.3)' }
  }
  return { ok: true, url: url.origin + path }
}

function problemOfText (text: string): string | undefined {
  if (text.trim() === '') return 'is empty; write https://host or https://host/path'
  if (/[{}]/.test(text)) return 'holds a brace; write the URL out, since server templates are not filled in'
  if (/[^\x21-\x7e]/.test(text)) {
    return 'holds white space, a control character or a character beyond ASCII; percent-encode it, and write international names in punycode'
  }
  if (text.includes('\\')) return 'holds a backslash; write slashes'
  if (text.includes('?')) return 'holds a query; remove it, and use inject for a parameter that carries a credential'
  if (text.includes('#')) return 'holds a fragment; remove it'
  return undefined
}

function problemOfPath (path: string): string | undefined {
  if (path.includes('//')) return 'has an empty segment (//) in its path; remove one slash'
  // RFC 3986 section 3.3; anything else is encoded by one Node version and kept by another (^, for one).
  if (!/^(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/.test(path)) {
    return 'has a path with characters that URLs encode; percent-encode them (RFC 3986 section 3.3)'
  }
  try {
    judgePath(path)
    return undefined
  } catch (error) {
    if (error instanceof ProxyError) {
      return 'has a path that readers take differently (a dot segment, an encoded backslash or control character); write it without'
    }
    throw error
  }
}

function parseUrl (text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

import { isIP } from 'node:net'
import { parseAddress } from '../http/address.ts'

/**
 * The problem of a text that is no entry of the Host guard; an entry is an exact name, or a name with a port.
 *
 * @returns the problem and its remedy, without the text; undefined where the text is good
 */
export function hostProblem (text: string): string | undefined {
  if (text.includes('*')) return 'holds a *; write exact names, one by one'
  if (text.includes('/')) return 'is a URL or a path; write the host alone, api.internal or api.internal:8080'
  if (isIP(text) === 6) return 'is an IPv6 address without brackets; write [::1] or [::1]:8080'
  const address = parseAddress(text) ?? parseAddress(`${text}:1`)
  return address?.type === 'tcp' && address.port > 0 ? undefined : 'is no host name; write api.internal or api.internal:8080'
}

/** The problem of a text that is no origin, exactly as a browser sends it (RFC 6454 section 6.2): the guard compares bytes. */
export function originProblem (text: string): string | undefined {
  if (text === 'null') return 'is what every sandboxed page sends; no such origin can be trusted, remove it'
  if (text.includes('*')) return 'holds a *; write exact origins, one by one'
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\]+$/.test(text)) {
    return 'is no origin; write scheme://host or scheme://host:port in lower case, without path and slash'
  }
  if (!/^https?:/.test(text)) return undefined
  try {
    if (new URL(text).origin === text) return undefined
  } catch {
    return 'is no origin; write scheme://host or scheme://host:port'
  }
  return 'is not as a browser sends it; write the host in lower case (punycode for international names) and leave a default port out'
}

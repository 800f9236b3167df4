import { isNamed, type RawHeaders } from './raw-headers.ts'

// RFC 4559 section 4 and MS-NTHT: they authenticate the connection, so whatever follows on it is taken for the same person's.
const BINDING = /^(?:ntlm|negotiate)(?:[ \t]|$)/i

/** Whether a request proves who sent it by a scheme that holds for its whole connection. */
export function bindsConnection (headers: RawHeaders): boolean {
  // No list of values: every request of a route that injects nothing is looked at.
  for (let index = 0; index < headers.length; index += 2) {
    if (isNamed(headers[index] ?? '', 'authorization') && BINDING.test((headers[index + 1] ?? '').trim())) return true
  }
  return false
}

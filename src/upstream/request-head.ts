import { ProxyError } from '../errors.ts'
import type { UpstreamRequest } from './sender.ts'

// A token of RFC 9110 section 5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/

/** Headers that the connection writes itself: some reader would take a second one. Also by length, since every name is looked up. */
const OWN_NAMES = new Set([
  'te',
  'host',
  'expect',
  'trailer',
  'upgrade',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'proxy-connection'
])
const OWN_LENGTHS: readonly boolean[] = Array.from({ length: 18 }, (_, length) => [...OWN_NAMES].some((name) => name.length === length))

/** Methods whose requests have a body, so that an empty one is announced (RFC 9110 section 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

/**
 * Writes the head of a request, down to the empty line. Refuses every byte that would end a line or a field early, whoever let it
 * pass before (CVE-2026-1527 was of this kind).
 *
 * @param host the value of `Host`
 * @throws ProxyError
 */
export function requestHead ({ method, target, headers, body, length, upgrade }: UpstreamRequest, host: string): string {
  if (!TOKEN.test(method) || !TARGET.test(target)) throw unsendable('method or target')
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n`
  if (upgrade === undefined) head += 'connection: keep-alive\r\n'
  else if (VALUE.test(upgrade)) head += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`
  else throw unsendable('Upgrade')
  // By index, not by `pairs`: every request is written here.
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (!TOKEN.test(name) || !VALUE.test(value)) throw unsendable('a header')
    if (OWN_LENGTHS[name.length] === true && OWN_NAMES.has(name.toLowerCase())) throw unsendable('a header of the connection')
    head += `${name}: ${value}\r\n`
  }
  if (body === null) return WITH_BODY.has(method) ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`
  if (length !== undefined && Buffer.isBuffer(body) && body.length !== length) throw unsendable('the length of the body')
  return length === undefined ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}content-length: ${length}\r\n\r\n`
}

function unsendable (what: string): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: 'http_request_error',
    cause: new Error(`${what} of the request cannot be sent`)
  })
}

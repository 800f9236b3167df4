import { METHODS } from 'node:http'
import { ProxyError } from '../errors.ts'
import { parseTarget } from './target.ts'

const KNOWN: ReadonlySet<string> = new Set(METHODS)

/**
 * Whether Node's parser takes a request of that method; the list grows with its versions. Methods are case-sensitive (RFC 9110 section
 * 9.1).
 */
export function isKnownMethod (method: string): boolean {
  return KNOWN.has(method)
}

/**
 * Refuses a method or target that no request line may hold, by the rules of the listener (Node's parser among them) and of
 * `explain` alike.
 *
 * @throws ProxyError 400 `CS_BAD_REQUEST` for the method or the target, 405 for TRACE and CONNECT
 */
export function judgeRequest (method: string, target: string): void {
  judgeMethod(method)
  if (method === 'TRACE' || method === 'CONNECT') throw new ProxyError('CS_METHOD_NOT_ALLOWED')
  parseTarget(target)
}

/** Refuses a method that the parser does not know: before any guard, since it stops reading there. */
export function judgeMethod (method: string): void {
  if (!isKnownMethod(method)) {
    throw new ProxyError('CS_BAD_REQUEST', {
      message: isKnownMethod(method.toUpperCase())
        ? 'The method is not in upper case, and methods are case-sensitive (RFC 9110 section 9.1); send it as it is registered.'
        : 'The method is none that this proxy knows; send a registered one (RFC 9110 section 16.1).',
      close: true
    })
  }
}

/**
 * Why Node's parser gave up on a request line, in words that help; for what is read where there is no request yet.
 *
 * @param bytes what was received, from the first byte of the request on
 * @returns undefined where the request line is well-formed, or not whole
 */
export function requestLineProblem (bytes: Uint8Array): ProxyError | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  const end = text.search(/[\r\n]/)
  const [, method = '', target = ''] =
    /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^ ].*) HTTP\/\d\.\d$/.exec(end === -1 ? '' : text.slice(0, end)) ?? []
  if (method === '') return undefined
  try {
    judgeRequest(method, target)
    return undefined
  } catch (error) {
    return error instanceof ProxyError
      ? new ProxyError(error.code, { message: error.message, status: error.statusCode, close: true })
      : undefined
  }
}

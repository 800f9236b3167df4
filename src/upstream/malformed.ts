import { ProxyError } from '../errors.ts'

/** The 502 for a response that two readers could read differently, or that is no response at all. The reason is for the log alone. */
export function malformed (reason = 'the response is malformed'): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_protocol_error', cause: new Error(reason) })
}

/** The 502 for a header section, or one of trailers, that is longer than `limits.headerBytes`. */
export function tooLong (): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: 'http_response_header_section_size',
    cause: new Error('the header section of the response is longer than limits.headerBytes')
  })
}

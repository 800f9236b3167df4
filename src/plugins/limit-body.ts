import { pipeline, Transform, type Readable } from 'node:stream'
import { ProxyError } from '../errors.ts'

/**
 * Passes a request body of unknown length on and breaks it off with `CS_BODY_TOO_LARGE` once it is over the limit:
 * the upstream then sees a broken request, never a shortened one that looks whole.
 */
export function limitBody (body: Readable, maxBytes: number): Readable {
  let bytes = 0
  const counter = new Transform({
    transform (chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > maxBytes) done(new ProxyError('CS_BODY_TOO_LARGE', { close: true }))
      else done(null, chunk)
    }
  })
  // Errors reach the reader of the counter; there is nobody else to tell.
  return pipeline(body, counter, () => {})
}

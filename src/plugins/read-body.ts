import type { Readable } from 'node:stream'
import { LARGEST_SPLICED_BODY, tooLarge } from '../route/body.ts'

/**
 * Reads a whole body that fields are put into.
 *
 * @throws ProxyError as a rejection: 415 for one that is larger than those can be, and what the stream itself throws
 */
export async function readBody (body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // A stream of bytes; its type does not say so.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > LARGEST_SPLICED_BODY) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

import type { Readable } from 'node:stream'
import { Bytes } from '../http/bytes.ts'
import { LARGEST_SPLICED_BODY, tooLarge } from '../route/body.ts'

/**
 * Reads a whole body that fields are put into. Chunks are copied as they come, so what a body costs depends on its bytes
 * alone, however many chunks a client makes of them.
 *
 * @throws ProxyError as a rejection: 415 for one that is larger than those can be, and what the stream itself throws
 */
export function readBody (body: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const collected = new Bytes()
    body.on('data', (chunk: Buffer) => {
      if (collected.length + chunk.length <= LARGEST_SPLICED_BODY) {
        collected.add(chunk)
        return
      }
      reject(tooLarge())
      body.destroy()
    })
    body.once('end', () => { resolve(collected.bytes) }).once('error', reject).once('close', () => { reject(new Error('the body broke off')) })
  })
}

import type { BodySource } from './body-source.ts'
import { Bytes } from './bytes.ts'

/**
 * Reads a whole body. Chunks are copied as they come, so what it costs depends on its bytes alone, however many chunks a
 * sender makes of them.
 *
 * @param most the longest body that is read, in bytes; a longer one is destroyed
 * @returns undefined where it is longer
 * @throws as a rejection, what the stream itself throws, and an error where it breaks off
 */
export function readWhole (body: BodySource, most: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const collected = new Bytes()
    body.on('data', (chunk: Buffer) => {
      if (collected.length + chunk.length <= most) {
        collected.add(chunk)
        return
      }
      resolve(undefined)
      body.destroy()
    })
    // Stays: a destroyed body may emit an error once everything is settled.
    body
      .on('error', reject)
      .once('end', () => {
        resolve(collected.bytes)
      })
      .once('close', () => {
        reject(new Error('the body broke off'))
      })
    body.resume()
  })
}

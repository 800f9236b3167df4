import type { Readable } from 'node:stream'
import { Bytes } from '../http/bytes.ts'

/** The longest answer of an identity provider that is read, in bytes; real ones have a few kilobytes. */
export const LONGEST_ANSWER = 1_048_576

/**
 * Reads an answer's body. Chunks are copied as they come, so that what it costs depends on its bytes alone.
 *
 * @returns undefined where it is longer than {@link LONGEST_ANSWER}
 * @throws as a rejection, what the stream itself throws
 */
export function readAnswerBytes (body: Readable): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const collected = new Bytes()
    body.on('data', (chunk: Buffer) => {
      if (collected.length + chunk.length <= LONGEST_ANSWER) {
        collected.add(chunk)
        return
      }
      resolve(undefined)
      body.destroy()
    })
    // Stays: destroying it may be told as an error once everything is settled.
    body.on('error', reject).once('end', () => { resolve(collected.bytes) }).once('close', () => { reject(new Error('the answer broke off')) })
  })
}

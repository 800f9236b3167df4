import type { Readable } from 'node:stream'
import { readWhole } from '../http/read-whole.ts'

/** The longest answer of an identity provider that is read, in bytes; real ones have a few kilobytes. */
export const LONGEST_ANSWER = 1_048_576

/** Reads an answer's body; undefined where it is longer than {@link LONGEST_ANSWER}. */
export function readAnswerBytes (body: Readable): Promise<Buffer | undefined> {
  return readWhole(body, LONGEST_ANSWER)
}

import type { Readable } from 'node:stream'
import { readWhole } from '../http/read-whole.ts'
import { LARGEST_SPLICED_BODY, tooLarge } from '../route/body.ts'

/**
 * Reads a whole body that fields are put into.
 *
 * @throws ProxyError as a rejection: 415 for one that is larger than those can be, and what the stream itself throws
 */
export async function readBody (body: Readable): Promise<Buffer> {
  const bytes = await readWhole(body, LARGEST_SPLICED_BODY)
  if (bytes === undefined) throw tooLarge()
  return bytes
}

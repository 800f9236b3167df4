import { closeSync, constants, openSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeText, LONGEST_FILE, refused, TOO_LONG, type TextResult } from '../config/read/text.ts'

// Somebody may have to touch a fingerprint reader first.
const DEADLINE_MS = 60_000
// A pipe with a name may be opened by its writer a little later.
const NO_WRITER_MS = 5_000
const LOOK_MS = 10
const PIECE = 64 * 1024

/**
 * Reads a pipe to its end. Neither a thread nor the event loop waits in it: signals are handled meanwhile, and a waiting
 * thread of libuv's would keep the process from ending.
 */
export async function readPipe (path: string): Promise<TextResult> {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    return await readToEnd(descriptor)
  } catch (error) {
    // The parent may have given us a pair of sockets, which cannot be opened a second time.
    return isStdin(path) && codeOf(error) === 'ENXIO' ? await readStdin() : refused(error)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

async function readToEnd (descriptor: number): Promise<TextResult> {
  const pieces: Buffer[] = []
  let written = false
  const begin = performance.now()
  for (let length = 0; length <= LONGEST_FILE;) {
    const piece = Buffer.allocUnsafe(PIECE)
    const bytes = readNow(descriptor, piece)
    if (bytes !== 0) written = true
    else if (written) return decodeText(pieces)
    if (bytes !== undefined && bytes > 0) {
      length += bytes
      pieces.push(piece.subarray(0, bytes))
      continue
    }
    const waitedMs = performance.now() - begin
    if (!written && waitedMs > NO_WRITER_MS) return { ok: false, absent: false, reason: 'is a pipe that nobody writes to' }
    if (waitedMs > DEADLINE_MS) return UNENDED
    await delay(LOOK_MS)
  }
  return TOO_LONG
}

const UNENDED: TextResult = { ok: false, absent: false, reason: `is a pipe that was not written to its end within ${DEADLINE_MS / 1000} s` }

/** @returns how many bytes there were; 0 where nobody has it open for writing, undefined where nothing has been written yet */
function readNow (descriptor: number, piece: Buffer): number | undefined {
  try {
    return readSync(descriptor, piece, 0, piece.length, null)
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return undefined
    throw error
  }
}

function isStdin (path: string): boolean {
  return ['/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'].includes(path)
}

async function readStdin (): Promise<TextResult> {
  const pieces: Buffer[] = []
  let length = 0
  const timer = setTimeout(() => { process.stdin.destroy(new Error('the deadline')) }, DEADLINE_MS)
  try {
    for await (const piece of process.stdin) {
      const bytes = piece as Buffer // no encoding is set
      length += bytes.length
      if (length > LONGEST_FILE) return TOO_LONG
      pieces.push(bytes)
    }
    return decodeText(pieces)
  } catch {
    return UNENDED
  } finally {
    clearTimeout(timer)
  }
}

function codeOf (error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'

export type TextResult =
  | { readonly ok: true, readonly text: string }
  /** `reason` never holds the file's name or content. */
  | { readonly ok: false, readonly absent: boolean, readonly reason: string, readonly pipe?: true }

/** Real files have a few kilobytes. */
export const LONGEST_FILE = 16 * 1024 * 1024

/**
 * Reads a regular file as UTF-8, without its byte order mark. Other encodings are refused: a secret must not change on its way.
 * Everything else that has a path is refused without being read: a pipe may have no writer, a device no end.
 */
export function readText (file: string): TextResult {
  try {
    // Checked before it is opened as well: opening some devices has effects.
    const kind = refusedKind(statSync(file))
    if (kind !== undefined) return kind
    // O_NONBLOCK: it may have become a pipe since.
    const descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      return refusedKind(fstatSync(descriptor)) ?? readWhole(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    return refused(error)
  }
}

/** The text of a file that was read piece by piece. */
export function decodeText (pieces: readonly Buffer[]): TextResult {
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces)) }
  } catch (error) {
    return refused(error)
  }
}

/** The reason why a file cannot be read. */
export function refused (error: unknown): TextResult {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return { ok: false, absent: code === 'ENOENT' || code === 'ENOTDIR', reason: REASONS[code] ?? 'cannot be read' }
}

export const TOO_LONG: TextResult = { ok: false, absent: false, reason: `is longer than ${LONGEST_FILE / 1024 / 1024} MiB` }

function refusedKind (stats: Stats): TextResult | undefined {
  if (stats.isFile()) return stats.size > LONGEST_FILE ? TOO_LONG : undefined
  if (stats.isFIFO() || stats.isSocket()) {
    return { ok: false, absent: false, reason: 'is a pipe, and a pipe is read only once, at the start', pipe: true }
  }
  return { ok: false, absent: false, reason: stats.isDirectory() ? 'is a directory' : 'is a device' }
}

/** Reads to the end, wherever that is: a file may grow meanwhile, and files of /proc do not tell their size. */
function readWhole (descriptor: number): TextResult {
  const pieces: Buffer[] = []
  for (let length = 0; length <= LONGEST_FILE;) {
    const piece = Buffer.allocUnsafe(PIECE)
    const bytes = readSync(descriptor, piece, 0, PIECE, null)
    if (bytes === 0) return decodeText(pieces)
    length += bytes
    pieces.push(piece.subarray(0, bytes))
  }
  return TOO_LONG
}

const PIECE = 64 * 1024

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  // The error of opening a socket by its path.
  ENXIO: 'is a socket',
  EISDIR: 'is a directory',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a link to itself',
  ENAMETOOLONG: 'has too long a name',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8',
  ERR_INVALID_ARG_VALUE: 'has a name that no file can have'
}

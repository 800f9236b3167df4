import { readFileSync } from 'node:fs'

export type TextResult =
  | { readonly ok: true, readonly text: string }
  /** `reason` never holds the file's name or content. */
  | { readonly ok: false, readonly absent: boolean, readonly reason: string }

/** Reads a file as UTF-8, without its byte order mark. Other encodings are refused: a secret must not change on its way. */
export function readText (file: string): TextResult {
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return { ok: false, absent: code === 'ENOENT' || code === 'ENOTDIR', reason: REASONS[code] ?? 'cannot be read' }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EISDIR: 'is a directory',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a link to itself',
  ENAMETOOLONG: 'has too long a name',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8',
  ERR_INVALID_ARG_VALUE: 'has a name that no file can have'
}

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { LONGEST_ENTRY } from './seal.ts'

/** Why a file operation failed: what is wrong with the directory, or with one credential's entry in it, in words that name neither. */
export class CacheFailure extends Error {
  override readonly name = 'CacheFailure'
  readonly scope: 'directory' | 'entry'

  constructor (scope: 'directory' | 'entry', message: string) {
    super(message)
    this.scope = scope
  }
}

/** Says in our own words why a file operation failed. @param error whatever it threw */
export function failureOf (error: unknown): CacheFailure {
  if (error instanceof CacheFailure) return error
  switch (codeOf(error)) {
    case 'ELOOP': return new CacheFailure('entry', 'its file is a link; delete it')
    case 'EISDIR': return new CacheFailure('entry', 'its file is a directory; delete it')
    case 'EEXIST': case 'ENOTDIR': return new CacheFailure('directory', 'its path leads to a file')
    case 'EACCES': case 'EPERM': return new CacheFailure('directory', 'this user may not read and write there')
    case 'EROFS': return new CacheFailure('directory', 'the file system is read-only')
    case 'ENOSPC': return new CacheFailure('directory', 'the disk is full')
    case 'EDQUOT': return new CacheFailure('directory', 'the disk quota is used up')
    default: return new CacheFailure('directory', `the file system answers ${codeOf(error) ?? 'in an unknown way'}`)
  }
}

function codeOf (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** Makes the directory where there is none. @throws {@link CacheFailure} where it is none, or other users may enter it */
export async function prepareDirectory (directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const stats = await lstat(directory)
  if (!stats.isDirectory()) throw new CacheFailure('directory', 'it is a link; name the directory itself')
  // Windows has no such bits: Node makes them up.
  if ((stats.mode & 0o077) !== 0 && !WINDOWS) {
    throw new CacheFailure('directory', 'other users of this machine may enter it; run chmod 700 on it')
  }
}

/** Reads a regular file of at most {@link LONGEST_ENTRY} bytes. @returns undefined where there is no file */
export async function readBounded (file: string): Promise<Buffer | undefined> {
  // O_NONBLOCK: opening a pipe that somebody put there would wait for a writer.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)).catch(
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  )
  if (handle === undefined) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new CacheFailure('entry', 'its file is no regular file; delete it')
    if (stats.size > LONGEST_ENTRY) throw new CacheFailure('entry', 'its file is far too long; delete it')
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(stats.size), 0, stats.size, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Replaces a file: whoever reads it sees the old ones or the new ones, whole, also after a power failure. */
export async function replace (file: string, bytes: Buffer): Promise<void> {
  const temporary = `${file}.${randomBytes(8).toString('hex')}`
  try {
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

/** Writes the names in a directory to the disk, for a rename must survive a power failure too. */
export async function syncDirectory (directory: string): Promise<void> {
  // Windows opens no directories.
  if (WINDOWS) return
  const handle = await open(directory, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const WINDOWS = process.platform === 'win32'

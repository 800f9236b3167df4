import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../../secret.ts'
import type { CachedToken, TokenCache } from './cache.ts'
import { createCacheSeal, LONGEST_ENTRY } from './seal.ts'
import type { CredentialIdentity } from '../identity.ts'
import type { TokenLog } from '../report.ts'

export interface DiskCacheOptions {
  /** An absolute path; made with mode 0700 where there is none. */
  readonly directory: string
  /** 32 bytes in hex. */
  readonly key: Secret
  readonly log: Pick<TokenLog, 'warn'>
}

/** Encrypted tokens in a directory: for a restart while the identity provider is down. */
export interface DiskCache {
  /** The cache of one credential, which log lines call `name`. */
  readonly of: (name: string, identity: CredentialIdentity) => TokenCache
  /** Resolves once every write under way is on the disk, or after two seconds: a disk that hangs must not hold up a stop. */
  readonly close: () => Promise<void>
}

/** The caches of one daemon, across its configurations. */
export interface DiskCaches {
  /** The cache in a directory under a key: the one that is open already, where there is one. */
  readonly open: (options: Omit<DiskCacheOptions, 'log'>) => DiskCache
  /** See {@link DiskCache.close}. */
  readonly close: () => Promise<void>
}

export function createDiskCaches (log: DiskCacheOptions['log']): DiskCaches {
  const opened: Array<{ readonly directory: string, readonly key: Secret, readonly cache: DiskCache }> = []
  return {
    open: ({ directory, key }) => {
      const known = opened.find((one) => one.directory === directory && one.key.equals(key))
      if (known !== undefined) return known.cache
      const cache = openDiskCache({ directory, key, log })
      opened.push({ directory, key, cache })
      return cache
    },
    close: async () => { await Promise.all(opened.map(({ cache }) => cache.close())) }
  }
}

/**
 * Opens the cache. A file per credential, `KEYID-IDENTITY.token`, both of them keyed digests. It fails to nothing: whatever is
 * wrong is logged once, until it works again, and reads as "no token".
 */
export function openDiskCache ({ directory, key, log }: DiskCacheOptions): DiskCache {
  const { keyId, nameOf, seal, open: unseal } = createCacheSeal(key)
  const told = new Set<string>()
  const underWay = new Set<Promise<unknown>>()
  let tidied = false

  return {
    of (name, identity) {
      const file = join(directory, `${keyId}-${nameOf(identity)}.token`)
      const inOrder = createQueue()
      const change = (act: () => Promise<void>): Promise<void> => track(inOrder(() => quietly('write', name, async () => {
        await prepare()
        await act()
        await syncDirectory(directory)
      })))
      return {
        read: () => quietly('read', name, async () => {
          await prepare()
          const bytes = await readBounded(file)
          if (bytes === undefined) return undefined
          const token = unseal(identity, bytes)
          if (token === undefined) throw new CacheFailure('entry', 'its file was altered, or sealed for another secret of this credential')
          return token
        }),
        write: (token: CachedToken) => change(() => replace(file, seal(identity, token))),
        remove: () => change(() => rm(file, { force: true }))
      }
    },
    async close () {
      let timer: NodeJS.Timeout | undefined
      const enough = new Promise<void>((resolve) => { timer = setTimeout(resolve, CLOSE_TIMEOUT_MS) })
      await Promise.race([Promise.all(underWay), enough])
      clearTimeout(timer)
    }
  }

  function track<Result> (promise: Promise<Result>): Promise<Result> {
    underWay.add(promise)
    promise.finally(() => { underWay.delete(promise) }).catch(() => {})
    return promise
  }

  /** Runs a step; its failure is told and ends as undefined. */
  async function quietly<Result> (what: 'read' | 'write', name: string, step: () => Promise<Result>): Promise<Result | undefined> {
    try {
      const result = await step()
      told.delete(what)
      told.delete(`${what} ${name}`)
      return result
    } catch (error) {
      const { scope, message: reason } = failureOf(error)
      // What is wrong with the directory is wrong for a thousand credentials alike.
      if (scope === 'directory') tell(what, { directory, reason }, `token cache not used to ${what}`)
      else tell(`${what} ${name}`, { credential: name, directory, reason }, `token cache not used to ${what}`)
      return undefined
    }
  }

  function tell (subject: string, fields: object, sentence: string): void {
    if (told.has(subject)) return
    told.add(subject)
    log.warn(fields, sentence)
  }

  async function prepare (): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const stats = await lstat(directory)
    if (!stats.isDirectory()) throw new CacheFailure('directory', 'it is a link; name the directory itself')
    // Windows has no such bits: Node makes them up.
    if ((stats.mode & 0o077) !== 0 && !WINDOWS) {
      throw new CacheFailure('directory', 'other users of this machine may enter it; run chmod 700 on it')
    }
    if (tidied) return
    tidied = true
    await tidy()
  }

  /** Removes what a crash in the middle of a write left behind, and tells of entries that this key cannot open. */
  async function tidy (): Promise<void> {
    const names = await readdir(directory)
    for (const name of names.filter((one) => TEMPORARY.test(one))) {
      const file = join(directory, name)
      // Younger ones may be another process's, at this moment.
      const { mtimeMs } = await lstat(file).catch(() => ({ mtimeMs: Infinity }))
      if (Date.now() - mtimeMs > 60_000) await rm(file, { force: true })
    }
    const foreign = names.filter((name) => ENTRY.test(name) && !name.startsWith(`${keyId}-`)).length
    if (foreign > 0) {
      tell(
        'key',
        { directory, entries: foreign },
        'token cache has entries of another key, which are not used; give it the key of before, or delete them'
      )
    }
  }
}

const ENTRY = /^[0-9a-f]{16}-[0-9a-f]{64}\.token$/
const TEMPORARY = /^[0-9a-f]{16}-[0-9a-f]{64}\.token\.[0-9a-f]{16}$/
const CLOSE_TIMEOUT_MS = 2000
const WINDOWS = process.platform === 'win32'

/** What is wrong with the directory, or with one credential's entry in it, in words that name neither. */
class CacheFailure extends Error {
  override readonly name = 'CacheFault'
  readonly scope: 'directory' | 'entry'

  constructor (scope: 'directory' | 'entry', message: string) {
    super(message)
    this.scope = scope
  }
}

function failureOf (error: unknown): CacheFailure {
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

/** Runs one step after the other, in the order of the calls. */
function createQueue (): <Result>(step: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return (step) => {
    const next = last.then(step)
    last = next.catch(() => {})
    return next
  }
}

/** @returns undefined where there is no file */
async function readBounded (file: string): Promise<Buffer | undefined> {
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

/** Puts bytes in the place of a file: whoever reads it sees the old ones or the new ones, whole, also after a power failure. */
async function replace (file: string, bytes: Buffer): Promise<void> {
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

/** The rename itself must survive a power failure too. */
async function syncDirectory (directory: string): Promise<void> {
  // Windows opens no directories.
  if (WINDOWS) return
  const handle = await open(directory, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

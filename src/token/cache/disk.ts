import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../../secret.ts'
import type { TokenCache } from './cache.ts'
import { CacheFailure, failureOf, prepareDirectory, readBounded, replace, syncDirectory } from './files.ts'
import { createCacheSeal, type CacheSeal } from './seal.ts'
import type { CredentialIdentity } from '../identity.ts'
import type { TokenLog } from '../report.ts'

export interface DiskCacheOptions {
  /** An absolute path; made with mode 0700 where there is none. */
  readonly directory: string
  /** 32 bytes in hex. */
  readonly key: Secret
  readonly log: Pick<TokenLog, 'warn'>
}

/** Encrypted tokens in a directory, for a restart while the identity provider is down. */
export interface DiskCache {
  /** Makes the cache of one credential, which log lines call `name`. */
  readonly of: (name: string, identity: CredentialIdentity) => TokenCache
  /** Resolves once every write under way is on the disk, or after two seconds: a disk that hangs must not hold up a stop. */
  readonly close: () => Promise<void>
}

/** The caches of one daemon, across its configurations. */
export interface DiskCaches {
  /** Opens the cache in a directory under a key, or returns the one that is open already. */
  readonly open: (options: Omit<DiskCacheOptions, 'log'>) => DiskCache
  /** See {@link DiskCache.close}. */
  readonly close: () => Promise<void>
}

/** Makes the caches of a daemon. @param log is told what is wrong with them */
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
 * Opens the cache. It has a file for each credential, `KEYID-IDENTITY.token`; both parts are keyed digests. No call fails: what is
 * wrong is logged once, until it works again, and reads as "no token".
 */
export function openDiskCache (options: DiskCacheOptions): DiskCache {
  return new DirectoryCache(options)
}

class DirectoryCache implements DiskCache {
  readonly #directory: string
  readonly #log: DiskCacheOptions['log']
  readonly #seal: CacheSeal
  readonly #told = new Set<string>()
  readonly #underWay = new Set<Promise<unknown>>()
  #isTidied = false

  constructor ({ directory, key, log }: DiskCacheOptions) {
    this.#directory = directory
    this.#log = log
    this.#seal = createCacheSeal(key)
  }

  of (name: string, identity: CredentialIdentity): TokenCache {
    const { keyId, nameOf, seal, open } = this.#seal
    const file = join(this.#directory, `${keyId}-${nameOf(identity)}.token`)
    const inOrder = createQueue()
    const change = (act: () => Promise<void>): Promise<void> => this.#track(inOrder(() => this.#quietly('write', name, async () => {
      await this.#prepare()
      await act()
      await syncDirectory(this.#directory)
    })))
    return {
      read: () => this.#quietly('read', name, async () => {
        await this.#prepare()
        const bytes = await readBounded(file)
        if (bytes === undefined) return undefined
        const token = open(identity, bytes)
        if (token === undefined) throw new CacheFailure('entry', 'its file was altered, or sealed for another secret of this credential')
        return token
      }),
      write: (token) => change(() => replace(file, seal(identity, token))),
      remove: () => change(() => rm(file, { force: true }))
    }
  }

  async close (): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => { timer = setTimeout(resolve, CLOSE_TIMEOUT_MS) })
    await Promise.race([Promise.all(this.#underWay), enough])
    clearTimeout(timer)
  }

  #track<Result> (promise: Promise<Result>): Promise<Result> {
    this.#underWay.add(promise)
    promise.finally(() => { this.#underWay.delete(promise) }).catch(() => {})
    return promise
  }

  /** Runs a step. @returns undefined where it fails, after that was logged */
  async #quietly<Result> (what: 'read' | 'write', name: string, step: () => Promise<Result>): Promise<Result | undefined> {
    const directory = this.#directory
    try {
      const result = await step()
      this.#told.delete(what)
      this.#told.delete(`${what} ${name}`)
      return result
    } catch (error) {
      const { scope, message: reason } = failureOf(error)
      // What is wrong with the directory is wrong for a thousand credentials alike.
      if (scope === 'directory') this.#tell(what, { directory, reason }, `token cache not used to ${what}`)
      else this.#tell(`${what} ${name}`, { credential: name, directory, reason }, `token cache not used to ${what}`)
      return undefined
    }
  }

  /** Logs a sentence, once until its subject is no longer in `told`. */
  #tell (subject: string, fields: object, sentence: string): void {
    if (this.#told.has(subject)) return
    this.#told.add(subject)
    this.#log.warn(fields, sentence)
  }

  async #prepare (): Promise<void> {
    await prepareDirectory(this.#directory)
    if (this.#isTidied) return
    this.#isTidied = true
    await this.#tidy()
  }

  /** Removes what a crash in the middle of a write left behind, and logs that there are entries which this key cannot open. */
  async #tidy (): Promise<void> {
    const directory = this.#directory
    const names = await readdir(directory)
    for (const name of names.filter((one) => TEMPORARY.test(one))) {
      const file = join(directory, name)
      // Younger ones may be another process's, at this moment.
      const { mtimeMs } = await lstat(file).catch(() => ({ mtimeMs: Infinity }))
      if (Date.now() - mtimeMs > 60_000) await rm(file, { force: true })
    }
    const foreign = names.filter((name) => ENTRY.test(name) && !name.startsWith(`${this.#seal.keyId}-`)).length
    if (foreign > 0) {
      this.#tell(
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

/** Runs one step after the other, in the order of the calls. */
function createQueue (): <Result>(step: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return (step) => {
    const next = last.then(step)
    last = next.catch(() => {})
    return next
  }
}

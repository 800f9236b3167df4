import { ProxyError } from '../errors.ts'
import type { TokenCache } from './cache/cache.ts'
import type { TokenRefresher } from './refresher.ts'
import type { CredentialStatus, FetchEvent, TokenLog } from './report.ts'
import type { Token, TokenSource } from './token.ts'

/** What a refresher is made of: a source that has the secret, and where the token outlives the process. */
export interface TokenSupply {
  readonly source: TokenSource
  readonly cache?: TokenCache
}

export interface RotationOptions {
  readonly name: string
  readonly supply: TokenSupply
  /** Makes a refresher, not started. */
  readonly create: (supply: TokenSupply, onFetch: (event: FetchEvent) => void) => TokenRefresher
  readonly log: TokenLog
  readonly onFetch: (event: FetchEvent) => void
}

/**
 * Keeps the token of one identity usable across changes of its secret.
 *
 *     rotate, a token is held ──▶ the new secret is tried by a login; the old one serves, and refreshes, meanwhile
 *       it gave a token ────────▶ the new one has taken over, the old one is stopped
 *       it was refused ─────────▶ the old one goes on as long as it can; the new one is tried again as every rejected one
 *     rotate, none is held ─────▶ the new secret takes over at once
 *
 * As the identity stays the same, a token is the same whichever secret it was got with.
 */
export class RotatingRefresher {
  readonly #name: string
  readonly #create: (supply: TokenSupply) => TokenRefresher
  readonly #log: TokenLog
  #serving: TokenRefresher
  /** The refresher with the newest secret, until it gives a token. */
  #candidate: TokenRefresher | undefined
  /** The counters of refreshers that were stopped since. */
  #past = { logins: 0, refreshes: 0, failures: 0 }

  constructor ({ name, supply, create, log, onFetch }: RotationOptions) {
    this.#name = name
    this.#log = log
    this.#create = (supply) => {
      const refresher: TokenRefresher = create(supply, (event) => {
        this.#hear(refresher, event)
        onFetch(event)
      })
      return refresher
    }
    this.#serving = this.#create(supply)
  }

  /** Begins to fetch and to keep fresh. Does not wait; a second call does nothing. */
  start (): void {
    this.#serving.start()
  }

  /** Ends everything at once. A token that is held still serves requests that drain. */
  stop (): void {
    this.#serving.stop()
    this.#candidate?.stop()
  }

  /** Takes over the secret of a changed configuration. @param supply has the new secret */
  rotate (supply: TokenSupply): void {
    const next = this.#create(unread(supply))
    if (this.#candidate !== undefined) this.#end(this.#candidate)
    const { state } = this.#serving.status()
    if (state === 'fresh' || state === 'stale') {
      this.#candidate = next
      this.#log.info({ credential: this.#name }, 'secret changed, the new one is tried while the old one serves')
    } else {
      this.#candidate = undefined
      this.#end(this.#serving)
      this.#serving = next
      this.#log.info({ credential: this.#name }, 'secret changed, the new one takes over')
    }
    next.start()
  }

  /** The token to send now, if there is one. */
  current (): Token | undefined {
    return this.#serving.current() ?? this.#candidate?.current()
  }

  /**
   * Gets the token to send; while there are two secrets, of whichever gives one first.
   *
   * @throws ProxyError as {@link TokenRefresher.get} does; "rejected" only where every secret was
   */
  async get (signal?: AbortSignal): Promise<Token> {
    const [serving, candidate] = [this.#serving, this.#candidate]
    try {
      if (candidate === undefined) return await serving.get(signal)
      return await firstOf([serving.get(signal), candidate.get(signal)])
    } catch (error) {
      // A request that waits for a secret which is replaced meanwhile wants the new one's token.
      const replaced = serving !== this.#serving || candidate !== this.#candidate
      if (!replaced || signal?.aborted === true) throw error
      return await this.get(signal)
    }
  }

  /** Notes that an upstream answered 401 to `token`, see {@link TokenRefresher.reject}. */
  reject (token: Token, leastAgeMs: number): void {
    this.#serving.reject(token, leastAgeMs)
    this.#candidate?.reject(token, leastAgeMs)
  }

  /** Gets the token to send in place of `token`, of whichever secret has one first; see {@link TokenRefresher.another}. */
  async another (token: Token): Promise<Token | undefined> {
    const attempts = [this.#serving, this.#candidate].flatMap((refresher) => refresher === undefined ? [] : [refresher.another(token)])
    return await firstDefined(attempts) ?? differing(this.current(), token)
  }

  /** Whether a first fetch is over, however it ended. */
  get attempted (): boolean {
    return this.#serving.attempted || this.#candidate?.attempted === true
  }

  /** The status of the secret that serves, with the last error of the one that should. */
  status (): CredentialStatus {
    const serving = this.#serving.status()
    const candidate = this.#candidate?.status()
    return {
      ...serving,
      state: stateOf(serving, candidate),
      lastError: candidate?.lastError ?? serving.lastError,
      logins: this.#past.logins + serving.logins,
      refreshes: this.#past.refreshes + serving.refreshes,
      failures: this.#past.failures + serving.failures + (candidate?.failures ?? 0),
      clockSkewMs: candidate?.clockSkewMs ?? serving.clockSkewMs
    }
  }

  #hear (from: TokenRefresher, { outcome }: FetchEvent): void {
    if (from !== this.#candidate) return
    if (outcome === 'rejected') {
      this.#log.error({ credential: this.#name }, 'the new secret is refused, the old one serves as long as it can')
    } else if (outcome === 'ok') {
      const old = this.#serving
      this.#serving = from
      this.#candidate = undefined
      this.#end(old)
      this.#log.info({ credential: this.#name }, 'the new secret is proven and has taken over')
    }
  }

  #end (refresher: TokenRefresher): void {
    refresher.stop()
    const { logins, refreshes, failures } = refresher.status()
    this.#past = {
      logins: this.#past.logins + logins,
      refreshes: this.#past.refreshes + refreshes,
      failures: this.#past.failures + failures
    }
  }
}

// A candidate reads no cache: nothing but a response of the provider proves a secret.
function unread ({ source, cache }: TokenSupply): TokenSupply {
  return cache === undefined ? { source } : { source, cache: { ...cache, read: async () => undefined } }
}

function stateOf (serving: CredentialStatus, candidate: CredentialStatus | undefined): CredentialStatus['state'] {
  if (candidate === undefined) return serving.state
  if (serving.state === 'fresh') return candidate.lastError === null ? 'fresh' : 'stale'
  // Without a usable token it is rejected where both are.
  return serving.state === 'rejected' ? candidate.state : serving.state
}

// Undefined where the token that is held is the one that was rejected.
function differing (held: Token | undefined, token: Token): Token | undefined {
  return held === token ? undefined : held
}

async function firstDefined (attempts: ReadonlyArray<Promise<Token | undefined>>): Promise<Token | undefined> {
  const found = attempts.map(async (attempt) => await attempt ?? Promise.reject(new Error('none')))
  return await Promise.any(found).catch(() => undefined)
}

/** Resolves with the first token. Where there is none, rejects with the error that leaves most hope. */
async function firstOf (attempts: Array<Promise<Token>>): Promise<Token> {
  try {
    return await Promise.any(attempts)
  } catch (error) {
    const errors = error instanceof AggregateError ? error.errors as unknown[] : [error]
    throw errors.find((one) => !(one instanceof ProxyError && one.code === 'CS_CREDENTIAL_REJECTED')) ?? errors[0]
  }
}

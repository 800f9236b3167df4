import { createLoginGate } from './login-gate.ts'
import { TokenRefresher } from './refresher.ts'
import type { Secret } from '../secret.ts'
import type { TokenCache } from './cache.ts'
import type { Clock } from './clock.ts'
import type { LoginGate } from './login-gate.ts'
import type { CredentialStatus, FetchEvent, TokenLog } from './report.ts'
import type { Token, TokenSource } from './token.ts'

/** A credential as the store needs it: with a source, or with a value that never changes. */
export type CredentialOptions =
  | { readonly name: string, readonly type: 'static', readonly value: Secret }
  | {
    readonly name: string
    readonly type: 'cognito' | 'defender-relayer' | 'defender-admin' | 'oauth2'
    readonly source: TokenSource
    /** Where the token outlives the process. */
    readonly cache?: TokenCache
    /** What the credentials of one identity provider have in common; without it the credential is the only one of its provider. */
    readonly provider?: string
  }

export interface StoreOptions {
  readonly credentials: Iterable<CredentialOptions>
  readonly clock: Clock
  /** From 0 (included) to 1 (excluded), as Math.random. */
  readonly random: () => number
  readonly log: TokenLog
  /** How fast credentials may log in. */
  readonly logins: { readonly concurrency: number, readonly perSecond: number }
  /** Hears of every exchange with an identity provider, for metrics. */
  readonly onFetch?: (event: FetchEvent) => void
}

/** What holds one credential's token: a refresher, or a fixed secret. */
interface Holder {
  readonly attempted: boolean
  start (): void
  stop (): void
  current (): Token | undefined
  get (signal?: AbortSignal): Promise<Token>
  reject (token: Token): void
  status (): CredentialStatus
}

/** Every credential of one configuration, by name. Each has its own life; one's trouble never touches another's. */
export class CredentialStore {
  readonly #entries = new Map<string, { readonly type: CredentialOptions['type'], readonly holder: Holder }>()
  readonly #gate: LoginGate
  readonly #ready: Promise<void>
  readonly #becomeReady: () => void
  #wasReady = false

  constructor ({ credentials, clock, random, log, logins, onFetch }: StoreOptions) {
    this.#gate = createLoginGate({ clock, ...logins })
    const ready = createDeferred()
    this.#ready = ready.promise
    this.#becomeReady = ready.resolve
    /** Providers whose last answer was none, or none that could be used. */
    const silent = new Set<string>()
    for (const credential of credentials) {
      const { name, type } = credential
      if (this.#entries.has(name)) throw new Error(`two credentials are named ${name}`)
      if (credential.type === 'static') {
        this.#entries.set(name, { type, holder: createFixed(name, credential.value) })
        continue
      }
      const { source, cache, provider = name } = credential
      const holder = new TokenRefresher({
        name,
        source,
        clock,
        random,
        gate: { enter: (signal, isDoubtful) => this.#gate.enter(signal, () => silent.has(provider) || isDoubtful?.() === true) },
        log,
        onToken: () => this.#checkReady(),
        onFetch: event => {
          if (event.outcome === 'transient') silent.add(provider)
          else silent.delete(provider)
          onFetch?.(event)
        },
        ...(cache !== undefined && { cache })
      })
      this.#entries.set(name, { type, holder })
    }
  }

  /** Begins every first login, as fast as `logins` allows. Does not wait. */
  start (): void {
    for (const { holder } of this.#entries.values()) holder.start()
    this.#checkReady()
  }

  /** Ends every fetch and every timer. Tokens that are held still serve requests that drain. */
  async stop (): Promise<void> {
    this.#gate.close()
    for (const { holder } of this.#entries.values()) holder.stop()
  }

  /**
   * The token to send now: at once where one is usable, else a promise of the fetch in flight.
   *
   * @throws ProxyError as a rejection, see {@link TokenRefresher.get}; an Error for a name that is not configured
   */
  get (name: string, signal?: AbortSignal): Token | Promise<Token> {
    const holder = this.#holder(name)
    return holder.current() ?? holder.get(signal)
  }

  /** The upstream answered 401 to `token`. Afterwards `get` gives another one, or the same where a new one would not help. */
  reject (name: string, token: Token): void {
    this.#holder(name).reject(token)
  }

  statuses (): Array<CredentialStatus & { readonly type: CredentialOptions['type'] }> {
    return Array.from(this.#entries.values(), ({ type, holder }) => ({ type, ...holder.status() }))
  }

  /** Whether every credential can serve a request now, and the names of those that cannot. */
  ready (): { readonly ready: boolean, readonly missing: string[] } {
    const missing = [...this.#entries].filter(([, { holder }]) => holder.current() === undefined).map(([name]) => name)
    return { ready: missing.length === 0, missing }
  }

  /** Resolves once every credential had a token at the same time; not at all where that never happens. */
  whenReady (): Promise<void> {
    return this.#ready
  }

  /** Whether the first fetch of every credential is over, however it ended. */
  attempted (): boolean {
    return [...this.#entries.values()].every(({ holder }) => holder.attempted)
  }

  #holder (name: string): Holder {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new Error('a credential that is not configured was asked for')
    return entry.holder
  }

  #checkReady (): void {
    if (this.#wasReady) return
    this.#wasReady = [...this.#entries.values()].every(({ holder }) => holder.current() !== undefined)
    if (this.#wasReady) this.#becomeReady()
  }
}

/** A fixed secret is a token that never expires, and an upstream that refuses it changes nothing. */
function createFixed (name: string, value: Secret): Holder {
  const token: Token = { value, obtainedAt: 0, lifetimeMs: Infinity }
  const status: CredentialStatus = {
    name, state: 'static', expiresAt: null, refreshAt: null, lastSuccessAt: null, lastError: null, logins: 0, refreshes: 0, failures: 0, clockSkewMs: null
  }
  return {
    attempted: true,
    start () {},
    stop () {},
    current: () => token,
    get: async () => token,
    reject () {},
    status: () => status
  }
}

function createDeferred (): { readonly promise: Promise<void>, readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}

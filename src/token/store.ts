import { createLoginGate, type LoginGate, type LoginLimits } from './login-gate.ts'
import { TokenRefresher } from './refresher.ts'
import { RotatingRefresher, type TokenSupply } from './rotation.ts'
import type { Secret } from '../secret.ts'
import { systemClock, type Clock } from './clock.ts'
import type { IdentityChange } from './identity.ts'
import { QUIET, type CredentialStatus, type FetchEvent, type TokenLog } from './report.ts'
import type { Token } from './token.ts'

/** A credential as the store needs it: with a source, or with a value that never changes. */
export type CredentialOptions =
  | { readonly name: string, readonly type: 'static', readonly value: Secret }
  | TokenSupply & {
    readonly name: string
    readonly type: 'cognito' | 'defender-relayer' | 'defender-admin' | 'oauth2' | 'custom'
    /** The same text for all credentials of one identity provider; without it the credential is the only one of its provider. */
    readonly provider?: string
  }

/** What a {@link CredentialStore} is made of. */
export interface StoreOptions {
  readonly credentials: Iterable<CredentialOptions>
  /** Default: the machine's, whose timers keep no process alive. */
  readonly clock?: Clock
  /** From 0 (included) to 1 (excluded). Default: Math.random. */
  readonly random?: () => number
  /** Default: nowhere. */
  readonly log?: TokenLog
  /** How fast credentials may log in. Default: 4 at a time, 20 a second. */
  readonly logins?: LoginLimits
  /** Called after every login and refresh, for metrics. */
  readonly onFetch?: (event: FetchEvent) => void
  /** The store that this one takes over from with `start`. Credentials that are not `other` are handed over, with token and timer. */
  readonly previous?: { readonly store: CredentialStore, readonly identityChange: (name: string) => IdentityChange }
}

/** Holds one credential's token: a refresher, or a fixed secret. */
interface Holder {
  readonly attempted: boolean
  start (): void
  stop (): void
  current (): Token | undefined
  get (signal?: AbortSignal): Promise<Token>
  reject (token: Token, leastAgeMs: number): void
  another (token: Token): Promise<Token | undefined>
  status (): CredentialStatus
}

/** One credential of a store. */
type Entry =
  | { readonly type: 'static', readonly holder: Holder }
  /** Where the holder is handed over and has the old secret, `rotated` has the new one. */
  | { readonly type: Exclude<CredentialOptions['type'], 'static'>, readonly holder: RotatingRefresher, readonly rotated?: TokenSupply }

/** The state that stores which follow each other share. */
interface SharedState {
  readonly gate: LoginGate
  /** Providers whose last response was none, or none that could be used. */
  readonly silent: Set<string>
  /** The store that has taken over last. */
  current: CredentialStore
}

/**
 * Every credential of one configuration, by name. Each has its own life; one's trouble never touches another's. It begins with
 * `start` and ends with `stop`; it throws where two credentials have one name.
 *
 * @example
 * const store = new CredentialStore({
 *   credentials: [
 *     { name: 'orders', type: 'cognito', source: createTokenSource(orders) },
 *     { name: 'maps', type: 'static', value: new Secret(process.env.MAPS_KEY) }
 *   ]
 * })
 * store.start()
 * await store.whenReady()
 * const { value } = await store.get('orders')
 * await store.stop()
 */
export class CredentialStore {
  readonly #entries = new Map<string, Entry>()
  readonly #sharedState: SharedState
  readonly #logins: LoginLimits
  readonly #onFetch: StoreOptions['onFetch']
  readonly #ready: Promise<void>
  readonly #becomeReady: () => void
  /** The store to take over from, until `start`: no store keeps those before it alive. */
  #previous: CredentialStore | undefined
  #wasReady = false
  #wasAttempted = false

  constructor ({
    credentials,
    clock = systemClock(),
    random = Math.random,
    log = QUIET,
    logins = { concurrency: 4, perSecond: 20 },
    onFetch,
    previous
  }: StoreOptions) {
    this.#logins = logins
    this.#onFetch = onFetch
    this.#previous = previous?.store
    this.#sharedState =
      this.#previous === undefined
        ? { gate: createLoginGate({ clock, ...logins }), silent: new Set(), current: this }
        : this.#previous.#sharedState
    const ready = createDeferred()
    this.#ready = ready.promise
    this.#becomeReady = ready.resolve
    for (const credential of credentials) {
      const { name } = credential
      if (this.#entries.has(name)) throw new Error(`two credentials are named ${name}`)
      this.#entries.set(name, this.#createEntry(credential, { clock, random, log }, previous))
    }
  }

  /**
   * Begins every first login, as fast as `logins` allows, and takes over from the previous store: what that one has and
   * this one has not is stopped for good. Does not wait.
   */
  start (): void {
    const previous = this.#previous
    if (previous !== undefined) {
      this.#previous = undefined
      this.#sharedState.current = this
      this.#sharedState.gate.adjust(this.#logins)
      this.#wasAttempted = previous.attempted()
      const kept = new Set(Array.from(this.#entries.values(), ({ holder }) => holder))
      for (const { holder } of previous.#entries.values()) if (!kept.has(holder)) holder.stop()
      for (const entry of this.#entries.values()) {
        if (entry.type !== 'static' && entry.rotated !== undefined) entry.holder.rotate(entry.rotated)
      }
    }
    for (const { holder } of this.#entries.values()) holder.start()
    this.#checkReady()
  }

  /** Ends every fetch and every timer. Tokens that are held still serve requests that drain. */
  async stop (): Promise<void> {
    this.#sharedState.gate.close()
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

  /** An upstream answered 401 to `token`: it is replaced once it has reached an age, see {@link TokenRefresher.reject}. */
  reject (name: string, token: Token, leastAgeMs: number): void {
    this.#holder(name).reject(token, leastAgeMs)
  }

  /** Gets the token to send in place of one that met 401; undefined where no other can be had. */
  async another (name: string, token: Token): Promise<Token | undefined> {
    return await this.#holder(name).another(token)
  }

  /** The status of every credential, with its type. */
  statuses (): Array<CredentialStatus & { readonly type: CredentialOptions['type'] }> {
    return Array.from(this.#entries.values(), ({ type, holder }) => ({ type, ...holder.status() }))
  }

  /** Gives the statuses one after the other, for a caller that does something else in between. */
  * eachStatus (): Generator<CredentialStatus> {
    for (const { holder } of this.#entries.values()) yield holder.status()
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

  /** Whether the first fetch of every credential is over, however it ended; once true, in later stores as well. */
  attempted (): boolean {
    this.#wasAttempted ||= [...this.#entries.values()].every(({ holder }) => holder.attempted)
    return this.#wasAttempted
  }

  #holder (name: string): Holder {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new Error('a credential that is not configured was asked for')
    return entry.holder
  }

  #createEntry (
    credential: CredentialOptions,
    { clock, random, log }: Required<Pick<StoreOptions, 'clock' | 'random' | 'log'>>,
    previous: StoreOptions['previous']
  ): Entry {
    const { name } = credential
    if (credential.type === 'static') return { type: credential.type, holder: createFixed(name, credential.value) }
    const { type, source, cache, provider = name } = credential
    const supply = cache === undefined ? { source } : { source, cache }
    const identityChange = previous?.identityChange(name) ?? 'other'
    const before = previous === undefined || identityChange === 'other' ? undefined : previous.store.#entries.get(name)
    if (before !== undefined && before.type !== 'static') {
      return { type, holder: before.holder, ...(identityChange === 'rotated' && { rotated: supply }) }
    }
    const sharedState = this.#sharedState
    const gate: Pick<LoginGate, 'enter'> = {
      enter: (signal, isDoubtful) => sharedState.gate.enter(signal, () => sharedState.silent.has(provider) || isDoubtful?.() === true)
    }
    const holder = new RotatingRefresher({
      name,
      supply,
      log,
      create: (supply, onFetch) =>
        new TokenRefresher({ ...supply, name, clock, random, gate, log, onFetch, onToken: () => sharedState.current.#checkReady() }),
      onFetch: (event) => {
        if (event.outcome === 'transient') sharedState.silent.add(provider)
        else sharedState.silent.delete(provider)
        sharedState.current.#onFetch?.(event)
      }
    })
    return { type, holder }
  }

  #checkReady (): void {
    if (this.#wasReady) return
    this.#wasReady = [...this.#entries.values()].every(({ holder }) => holder.current() !== undefined)
    if (this.#wasReady) this.#becomeReady()
  }
}

/** Makes the holder of a fixed secret: a token that never expires, and that stays when an upstream rejects it. */
function createFixed (name: string, value: Secret): Holder {
  const token: Token = { value, obtainedAt: 0, lifetimeMs: Infinity }
  const status: CredentialStatus = {
    name,
    state: 'static',
    expiresAt: null,
    refreshAt: null,
    lastSuccessAt: null,
    lastError: null,
    logins: 0,
    refreshes: 0,
    failures: 0,
    clockSkewMs: null
  }
  return {
    attempted: true,
    start () {},
    stop () {},
    current: () => token,
    get: async () => token,
    reject () {},
    another: async () => undefined,
    status: () => status
  }
}

function createDeferred (): { readonly promise: Promise<void>, readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

import { TokenRefresher } from '#src/token/refresher.ts'
import { Secret } from '#src/secret.ts'
import { TokenError, type FailureClass, type Grant, type Renewal, type TokenSource } from '#src/token/token.ts'
import { FakeClock } from './clock.ts'
import type { TokenCache } from '#src/token/cache/cache.ts'
import type { FetchEvent, TokenLog } from '#src/token/report.ts'

type ScriptedResponse = Grant | Error | (() => Promise<Grant>)

/** An identity provider that answers what a test tells it to, and writes down what it was asked. */
export class FakeSource implements TokenSource {
  readonly calls: Array<{
    readonly kind: 'login' | 'refresh'
    readonly at: number
    readonly signal: AbortSignal
    readonly renewal?: Renewal
  }> = []

  /** What the next negotiations give, first to last; after that `respond`. */
  readonly script: ScriptedResponse[] = []
  respond: () => ScriptedResponse
  running = 0
  mostRunning = 0
  readonly #clock: FakeClock
  #count = 0

  constructor (clock: FakeClock, lifetimeMs = 3_600_000) {
    this.#clock = clock
    this.respond = () => this.grant({ lifetimeMs })
  }

  /** A grant with a token and a renewal that no other has. */
  grant (fields: Partial<Grant> = {}): Grant {
    this.#count += 1
    return { value: new Secret(`token-${this.#count}`), lifetimeMs: 3_600_000, renewal: createRenewal(this.#count), ...fields }
  }

  async token (signal: AbortSignal, renewal?: Renewal): Promise<Grant> {
    const at = this.#clock.monotonic()
    return await this.#negotiate(renewal === undefined ? { kind: 'login', at, signal } : { kind: 'refresh', at, signal, renewal })
  }

  get kinds (): string {
    return this.calls.map((call) => call.kind).join(' ')
  }

  async #negotiate (call: FakeSource['calls'][number]): Promise<Grant> {
    this.calls.push(call)
    this.running += 1
    this.mostRunning = Math.max(this.mostRunning, this.running)
    try {
      const respond = this.script.shift() ?? this.respond()
      if (respond instanceof Error) throw respond
      return typeof respond === 'function' ? await respond() : respond
    } finally {
      this.running -= 1
    }
  }
}

export function createRenewal (id: number | string): Renewal {
  return { refreshToken: new Secret(`refresh-${id}`) }
}

/** The source without refreshes, as OAuth 2.0 client credentials: every token is a login. */
export function withoutRenewal (source: TokenSource): TokenSource {
  return {
    token: async (signal) => {
      const { renewal: _, ...grant } = await source.token(signal)
      return grant
    }
  }
}

/** An error of the given class, with a code that tells it apart. */
export function failure (failureClass: FailureClass, details: { retryAfterMs?: number, clockSkewMs?: number } = {}): TokenError {
  return new TokenError(failureClass, `Code-${failureClass}`, `a ${failureClass} failure`, details)
}

/** A response that comes when the test calls `give` or `fail`. */
export function createLateResponse (): {
  readonly respond: () => Promise<Grant>
  readonly give: (grant: Grant) => void
  readonly fail: (error: unknown) => void
} {
  let give = (_grant: Grant): void => {}
  let fail = (_error: unknown): void => {}
  const promise = new Promise<Grant>((resolve, reject) => {
    give = resolve
    fail = reject
  })
  return { respond: () => promise, give, fail }
}

/** A log that remembers its lines. */
export function createTestLog (): TokenLog & {
  readonly lines: Array<{ readonly level: string, readonly fields: object, readonly sentence: string }>
} {
  const lines: Array<{ level: string, fields: object, sentence: string }> = []
  const write =
    (level: string) =>
      (fields: object, sentence: string): void => {
        lines.push({ level, fields, sentence })
      }
  return { lines, info: write('info'), warn: write('warn'), error: write('error') }
}

/** A refresher with everything around it fake but its own modules; `random` is 0 unless told. */
export function createScene (
  options: { lifetimeMs?: number, random?: () => number, onFetch?: (event: FetchEvent) => void, cache?: TokenCache, clock?: FakeClock } = {}
) {
  const clock = options.clock ?? new FakeClock()
  const source = new FakeSource(clock, options.lifetimeMs)
  const log = createTestLog()
  const events: FetchEvent[] = []
  const refresher = new TokenRefresher({
    name: 'orders',
    source,
    clock,
    random: options.random ?? (() => 0),
    gate: { enter: async () => () => {} },
    log,
    onFetch:
      options.onFetch ??
      ((event) => {
        events.push(event)
      }),
    ...(options.cache !== undefined && { cache: options.cache })
  })
  return { clock, source, log, events, refresher }
}

import type { Test } from 'tap'
import type { CredentialStatus, FetchEvent } from '#src/token/report.ts'
import { startApi, type RecordingApi } from '../helpers/api.ts'
import { FakeClock, settle } from '../helpers/clock.ts'
import type { startWorker } from '../helpers/cognito.ts'
import { call, type PlainResponse } from '../helpers/plain-client.ts'
import { startProxy } from '../helpers/proxy.ts'
import { startProvider, type Fault, type Kind, type Provider } from './provider.ts'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
/** Every back-off is as long as it can be. */
const RANDOM = 0.999
/** When a token of an hour is refreshed, and some milliseconds. */
export const REFRESH_AT = HOUR * 0.8 * (1 - 0.1 * RANDOM) + 10
/** When a token of an hour has its minimum life left, and is spent. */
export const SPENT_AT = HOUR - 30_000

/** A proxy with one credential, an identity provider and an upstream on real sockets, and a clock that the test moves. */
export interface Scene {
  readonly provider: Provider
  readonly upstream: RecordingApi
  readonly clock: FakeClock
  readonly events: readonly FetchEvent[]
  readonly start: () => void
  readonly status: () => CredentialStatus
  /** Makes every call to the provider meet a fault from now on. */
  readonly suffer: (fault: Fault & { readonly hangs?: true }) => void
  readonly recover: () => void
  /** Resolves once no fetch is under way. */
  readonly idle: () => Promise<void>
  /** Lets so much time pass, and every fetch that falls due within it come to its end. */
  readonly pass: (ms: number) => Promise<void>
  readonly request: () => Promise<PlainResponse>
  /** `/ready` of the admin listener. */
  readonly ready: () => Promise<PlainResponse>
  /** The bearer tokens that reached the upstream. */
  readonly sent: () => string[]
}

/** Builds a scene that ends with the test; nothing is fetched before `start`. */
export async function createScene (
  t: Test,
  kind: Kind,
  worker: ReturnType<typeof startWorker>,
  respond?: Parameters<typeof startApi>[0]
): Promise<Scene> {
  const provider = await startProvider(t, kind, worker)
  const upstream = await startApi(respond)
  t.teardown(() => upstream.close())
  const clock = new FakeClock()
  const events: FetchEvent[] = []
  let heard = (): void => {}
  let hangs = false
  let callsBefore = 0
  const proxy = await startProxy(t, {
    started: false,
    clock,
    random: () => RANDOM,
    onFetch: (event) => {
      events.push(event)
      heard()
    },
    credentials: [{ name: 'api', type: kind, source: provider.source }],
    routes: [
      {
        upstream: upstream.url,
        credential: 'api',
        bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'api' } }]
      }
    ]
  })

  const status = (): CredentialStatus => {
    const found = proxy.store.statuses().find(({ name }) => name === 'api')
    if (found === undefined) throw new Error('there is a credential of this name')
    return found
  }
  // A fetch is due from its instant on until it is over.
  const dueInMs = (): number => Date.parse(status().refreshAt ?? '') - clock.wall()

  async function idle (): Promise<void> {
    while (dueInMs() <= 0) {
      const next = new Promise<void>((resolve) => {
        heard = resolve
      })
      if (hangs) {
        await provider.called(events.length + callsBefore)
        await clock.advance(11_000)
      }
      await next
      await settle()
    }
  }

  async function pass (ms: number): Promise<void> {
    const end = clock.wall() + ms
    await idle()
    for (let dueMs = dueInMs(); clock.wall() + dueMs <= end; dueMs = dueInMs()) {
      // The status rounds instants down to whole milliseconds.
      await clock.advance(dueMs + 1)
      await idle()
    }
    await clock.advance(Math.max(0, end - clock.wall()))
  }

  return {
    provider,
    upstream,
    clock,
    events,
    start: () => {
      proxy.store.start()
    },
    status,
    suffer: (fault) => {
      provider.suffer(fault)
      hangs = fault.hangs === true
      // From here on every attempt is one call that hangs.
      callsBefore = provider.calls().length - events.length + 1
    },
    recover: () => {
      provider.recover()
      hangs = false
    },
    idle,
    pass,
    request: () => call(`127.0.0.1:${proxy.port}`, '/thing'),
    ready: () => call(`127.0.0.1:${proxy.adminPort}`, '/ready'),
    sent: () => upstream.seen.map(({ headers }) => String(headers.authorization).replace('Bearer ', ''))
  }
}

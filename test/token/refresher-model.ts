/**
 * The refresher against everything that can happen to it, in any order: time, jumps of the wall clock and suspends, every
 * verdict of a provider, upstreams that reject tokens, requests, stops, and a successor that takes over. Run as a thread by
 * refresher-model.test.ts: it throws where the model does not hold.
 */
import fc from 'fast-check'
import { Secret } from '#src/secret.ts'
import type { Clock } from '#src/token/clock.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { minimumLifeMs } from '#src/token/schedule.ts'
import type { FailureClass, Grant, Token, TokenSource } from '#src/token/token.ts'
import { FakeClock, settle } from '../helpers/clock.ts'
import { createRenewal, createTestLog, failure } from '../helpers/token-source.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** A suspend, or several, that the refresher may overlook (clock.ts). */
const OVERLOOKED_MS = 5 * SECOND
const CLASSES: readonly FailureClass[] = ['transient', 'ambiguous', 'lockout', 'refresh-dead', 'permanent', 'challenge']

type Verdict = 'ok' | 'late' | 'never' | 'nothing' | 'busy' | 'bug' | FailureClass

/** What is expected of the refresher: whether it runs, and how many attempts time and events explain. */
interface Model {
  running: boolean
  explained: number
}

/** The refresher and the world around it. */
class World {
  readonly clock = new FakeClock()
  readonly source: TokenSource
  verdict: Verdict = 'ok'
  refresher: TokenRefresher
  given: Token[] = []
  attempts = 0
  problem: string | undefined
  readonly #lifetimeMs: number
  readonly #random: () => number
  /** Timers of the refresher; the clock has those of late responses as well. */
  readonly #timers = new Set<object>()
  readonly #negotiations = new Set<AbortSignal>()
  readonly #diesAt = new Map<Secret, number>()
  #suspendedMs = 0
  /** When logins were refused, since the last success or anything else that begins anew. */
  #refusals: Array<{ readonly at: number, readonly class: FailureClass }> = []

  constructor (lifetimeMs: number, random: number) {
    this.#lifetimeMs = lifetimeMs
    this.#random = () => random
    this.source = {
      token: async (signal, renewal) => await this.#negotiation(renewal === undefined ? 'login' : 'refresh', signal)
    }
    this.refresher = this.#create()
  }

  /** Stops the refresher and puts a new one in its place, as a restart does. */
  replace (): void {
    this.refresher.stop()
    this.refresher = this.#create()
    this.given = []
  }

  sleep (ms: number, counted: boolean): void {
    this.clock.sleep(ms, { counted })
    if (!counted) this.#suspendedMs += ms
    this.beginAnew()
  }

  /** After this the time between refusals says nothing. */
  beginAnew (): void {
    this.#refusals = []
  }

  /** A token that the refresher gives out. */
  receive (token: Token): void {
    const leftMs = (this.#diesAt.get(token.value) ?? -Infinity) - this.#now()
    if (leftMs < minimumLifeMs(this.#lifetimeMs) - OVERLOOKED_MS - 1) this.problem = `a token with ${leftMs} ms left of ${this.#lifetimeMs}`
    if (!this.given.includes(token)) this.given.push(token)
  }

  check ({ running, explained }: Model): void {
    const inFlight = [...this.#negotiations].filter((signal) => !signal.aborted).length
    if (this.problem !== undefined) throw new Error(this.problem)
    if (inFlight > 1) throw new Error('two fetches at once')
    if (running && this.#timers.size === 0) throw new Error('no next step')
    if (!running && this.#timers.size + inFlight > 0) throw new Error('stopped, and still at work')
    if (this.attempts > explained) throw new Error(`${this.attempts} attempts, of which ${explained} are explained`)
    const token = this.refresher.current()
    if (token !== undefined) this.receive(token)
    if (this.problem !== undefined) throw new Error(this.problem)
  }

  #create (): TokenRefresher {
    this.beginAnew()
    const { clock } = this
    const counted: Clock = {
      monotonic: () => clock.monotonic(),
      wall: () => clock.wall(),
      setTimer: (fn, ms) => {
        const timer = {}
        this.#timers.add(timer)
        const disarm = clock.setTimer(() => {
          this.#timers.delete(timer)
          fn()
        }, ms)
        return () => {
          this.#timers.delete(timer)
          disarm()
        }
      }
    }
    return new TokenRefresher({
      name: 'orders',
      source: this.source,
      clock: counted,
      random: this.#random,
      gate: { enter: async () => () => {} },
      log: createTestLog()
    })
  }

  /** Time as the provider knows it: with every suspend, and without what was done to the wall clock. */
  #now (): number {
    return this.clock.monotonic() + this.#suspendedMs
  }

  async #negotiation (kind: 'login' | 'refresh', signal: AbortSignal): Promise<Grant> {
    if ([...this.#negotiations].some((other) => !other.aborted)) this.problem = 'two fetches at once'
    const { verdict } = this
    // The login behind a refresh that was refused belongs to the same attempt.
    if (!(kind === 'login' && this.#refused)) this.attempts++
    this.#refused = kind === 'refresh' && (['ambiguous', 'refresh-dead', 'permanent', 'challenge'] as Verdict[]).includes(verdict)
    if (kind === 'login') this.#checkPause()
    this.#negotiations.add(signal)
    try {
      return await this.#respond(kind, verdict)
    } finally {
      this.#negotiations.delete(signal)
    }
  }

  #refused = false

  async #respond (kind: 'login' | 'refresh', verdict: Verdict): Promise<Grant> {
    switch (verdict) {
      case 'never': return await new Promise<Grant>(() => {})
      case 'nothing': return { value: undefined as never } // as a source would that breaks its promise
      case 'busy': throw failure('transient', { retryAfterMs: 5 * MINUTE })
      case 'bug': throw new TypeError('a bug')
      case 'late': {
        const grant = this.#grant()
        return await new Promise<Grant>((resolve) => { this.clock.setTimer(() => { resolve(grant) }, 8 * SECOND) })
      }
      case 'ok': return this.#grant()
      default:
        if (kind === 'login' && verdict !== 'transient') this.#refusals.push({ at: this.clock.monotonic(), class: verdict })
        throw failure(verdict)
    }
  }

  #grant (): Grant {
    const value = new Secret(`token-${this.#diesAt.size}`)
    this.#diesAt.set(value, this.#now() + this.#lifetimeMs)
    this.beginAnew()
    return { value, lifetimeMs: this.#lifetimeMs, renewal: createRenewal(this.#diesAt.size) }
  }

  /** Between a refused login and the next one: 5 s once, and never less than 15 min after a lockout. */
  #checkPause (): void {
    const last = this.#refusals.at(-1)
    if (last === undefined) return
    const leastMs = this.#refusals.length === 1 && last.class !== 'lockout' ? 5 * SECOND : 15 * MINUTE
    const pauseMs = this.clock.monotonic() - last.at
    if (pauseMs < leastMs - 1) this.problem = `a login ${pauseMs} ms after the ${this.#refusals.length}. refusal (${last.class})`
  }
}

type Step = fc.AsyncCommand<Model, World>

function step (name: string, run: (model: Model, world: World) => void | Promise<void>): Step {
  return {
    check: () => true,
    async run (model, world) {
      await run(model, world)
      await settle()
      world.check(model)
    },
    toString: () => name
  }
}

const pass = (ms: number): Step => step(`pass ${ms}`, async (model, { clock }) => {
  // No pause is shorter than a second.
  model.explained += Math.ceil(ms / SECOND)
  await clock.advance(ms)
})

const steps: Array<fc.Arbitrary<Step>> = [
  fc.oneof(fc.nat(2 * SECOND), fc.nat(20 * SECOND), fc.nat(10 * MINUTE), fc.nat(2 * HOUR)).map(pass),
  fc.constantFrom<Verdict>('ok', 'ok', 'late', 'never', 'nothing', 'busy', 'bug', ...CLASSES).map((verdict) =>
    step(`provider: ${verdict}`, (_model, world) => {
      world.verdict = verdict
    })
  ),
  fc.constant(
    step('get', (_model, world) => {
      world.refresher.get().then(
        (token) => {
          world.receive(token)
        },
        () => {}
      )
    })
  ),
  fc.tuple(fc.nat(), fc.constantFrom(0, 2_000, 60_000)).map(([which, leastAgeMs]) =>
    step(`reject ${which}`, (model, world) => {
      const token = world.given[which % world.given.length]
      model.explained += 1
      if (token === undefined) return
      world.refresher.reject(token, leastAgeMs)
      world.refresher.another(token).then(
        (other) => {
          if (other === token) world.problem = 'the same token in place of a rejected one'
          if (other !== undefined) world.receive(other)
        },
        () => {
          world.problem = 'another threw'
        }
      )
    })
  ),
  fc.integer({ min: -3 * HOUR, max: 3 * HOUR }).map((ms) =>
    step(`jump ${ms}`, (model, world) => {
      model.explained += 1
      world.clock.jump(ms)
      world.beginAnew()
    })
  ),
  fc.tuple(fc.oneof(fc.nat(2 * MINUTE), fc.nat(3 * HOUR)), fc.boolean()).map(([ms, counted]) =>
    step(`sleep ${ms}${counted ? ', counted' : ''}`, (model, world) => {
      model.explained += 1
      world.sleep(ms, counted)
    })
  ),
  fc.constant(
    step('start', (model, world) => {
      model.explained += 1
      model.running = true
      world.beginAnew()
      world.refresher.start()
    })
  ),
  fc.constant(
    step('stop', (model, world) => {
      model.running = false
      world.refresher.stop()
    })
  ),
  fc.constant(
    step('restart', (model, world) => {
      model.explained += 1
      model.running = true
      world.replace()
      world.refresher.start()
    })
  )
]

const lifetime = fc.oneof(
  fc.integer({ min: 20 * SECOND, max: 5 * MINUTE }),
  fc.constant(HOUR),
  fc.integer({ min: HOUR, max: 90 * 24 * HOUR })
)
const chance = fc.double({ min: 0, max: 0.999, noNaN: true })

await fc.assert(
  fc.asyncProperty(lifetime, chance, fc.commands(steps, { maxCommands: 80, size: 'max' }), async (lifetimeMs, random, commands) => {
    const world = new World(lifetimeMs, random)
    const model: Model = { running: true, explained: 1 }
    world.refresher.start()
    await settle()
    await fc.asyncModelRun(() => ({ model, real: world }), commands)

    world.verdict = 'ok'
    world.beginAnew()
    world.refresher.start()
    // The longest pause is that of a refusal; an attempt that hangs may come before it.
    await world.clock.advance(15 * MINUTE + 12 * SECOND)
    if (world.refresher.current() === undefined) throw new Error('it did not recover')
    world.refresher.stop()
    await settle()
    world.check({ running: false, explained: Infinity })
  }),
  { numRuns: 300, includeErrorInReport: true }
)

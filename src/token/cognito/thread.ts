import { Worker } from 'node:worker_threads'
import type { FromWorker, PlainGrant, ToWorker, WorkerSettings } from './messages.ts'
import { tokenErrorOf } from '../provider/failures.ts'
import { TokenError } from '../token.ts'

export interface ThreadOptions {
  readonly entry: URL
  readonly settings: WorkerSettings
  /** Milliseconds without a sign of life, with negotiations under way, after which a thread that has started is given up. */
  readonly silenceMs: number
  readonly onWarning: (message: string) => void
  /** Called once the thread takes no more negotiations. */
  readonly onEnd: () => void
}

/** A negotiation that waits for its end. */
export interface Pending {
  readonly resolve: (grant: PlainGrant) => void
  readonly reject: (error: TokenError) => void
  readonly forget: () => void
}

/** A running thread and the negotiations that wait for it. */
export class CognitoThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #silenceMs: number
  readonly #onEnd: () => void
  readonly #onWarning: (message: string) => void
  readonly #exited: Promise<void>
  #watch: NodeJS.Timeout | undefined
  readonly #startedAt = performance.now()
  #isReady = false
  #isUnanswered = false

  constructor ({ entry, settings, silenceMs, onWarning, onEnd }: ThreadOptions) {
    this.#silenceMs = silenceMs
    this.#onWarning = onWarning
    this.#onEnd = onEnd
    this.#worker = new Worker(entry, { name: 'cognito', workerData: settings, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
    this.#worker.unref()
    this.#worker.on('message', (message: FromWorker) => { this.#receive(message) })
    // An error's message may hold anything; that the thread is gone is all that matters, and 'exit' tells that.
    this.#worker.on('error', () => {})
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#end('WorkerFailed', 'The thread that logs in failed; the next try starts a new one.')
        resolve()
      })
    })
  }

  /** Adds a negotiation, whose end {@link CognitoThread.post} then asks for. */
  add (id: number, pending: Pending): void {
    this.#pending.set(id, pending)
    this.#worker.ref()
    this.#watch ??= this.#startWatch()
  }

  /** Takes a negotiation off the list. @returns undefined where it ended before */
  settle (id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.forget()
    if (this.#pending.size === 0) this.#rest()
    return pending
  }

  /** Sends the thread a message. */
  post (message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  /** Ends the thread, by force after two seconds; negotiations under way end as transient failures. */
  async close (): Promise<void> {
    this.#end('Closed', 'The login was given up because the proxy stops.')
    this.#worker.ref()
    this.post({ type: 'close' })
    const timer = setTimeout(() => { this.#worker.terminate().catch(() => {}) }, CLOSE_TIMEOUT_MS)
    await this.#exited
    clearTimeout(timer)
  }

  #receive (message: FromWorker): void {
    this.#isReady = true
    this.#isUnanswered = false
    switch (message.type) {
      case 'grant':
        this.settle(message.id)?.resolve(message.grant)
        return
      case 'failure':
        this.settle(message.id)?.reject(tokenErrorOf(message.failure, message.failure))
        return
      case 'warning':
        this.#onWarning(message.message)
        return
      case 'pong':
        return
      default:
        message satisfies never
    }
  }

  // Sends a ping in the first half of the time, and looks for any message in the second.
  #startWatch (): NodeJS.Timeout {
    this.#isUnanswered = false
    return setInterval(() => {
      if (!this.#isReady) {
        if (performance.now() - this.#startedAt > START_TIMEOUT_MS) this.#abandon()
        return
      }
      if (!this.#isUnanswered) {
        this.#isUnanswered = true
        this.post({ type: 'ping' })
        return
      }
      // The response may be waiting in our own event loop, where it was this thread that was busy.
      setImmediate(() => {
        if (this.#isUnanswered && this.#watch !== undefined) this.#abandon()
      })
    }, this.#silenceMs / 2).unref()
  }

  #abandon (): void {
    this.#end('WorkerSilent', 'The thread that logs in does not answer; the next try starts a new one.')
    this.#worker.terminate().catch(() => {})
  }

  #end (code: string, message: string): void {
    this.#onEnd()
    for (const id of [...this.#pending.keys()]) this.settle(id)?.reject(lost(code, message))
    this.#rest()
  }

  #rest (): void {
    clearInterval(this.#watch)
    this.#watch = undefined
    this.#worker.unref()
  }
}

/** The URL of the thread's module: TypeScript in tests, JavaScript in dist. Node 20 strips no types, so it must be named as it is. */
export function workerEntry (): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
}

/** Makes the error of a negotiation that ended without a response of the identity provider. */
export function lost (code: string, message: string): TokenError {
  return new TokenError('transient', code, message)
}

const CLOSE_TIMEOUT_MS = 2000
// Big numbers are garbage as soon as they are made, but V8 fills its default of 48 MiB before it collects, and never gives them back.
// There is no other limit, because many logins at once need memory that stays.
const YOUNG_MB = 6
// With a tenth of a processor it may take long to load the library, and starting over would not make it faster.
const START_TIMEOUT_MS = 60_000

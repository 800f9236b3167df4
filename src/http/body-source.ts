import type { EventEmitter } from 'node:events'

/** A body as it comes; streams are such. `data` begins with `resume`; the last is `end`, or `error` and `close`. */
export interface BodySource extends EventEmitter {
  readonly destroyed: boolean
  /** What it was destroyed with. */
  readonly errored: Error | null
  pause (): void
  resume (): void
  destroy (error?: Error): void
}

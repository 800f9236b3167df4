import type { EventEmitter } from 'node:events'

/** A body as it arrives; every stream is one. `data` comes once `resume` was called; the last event is `end`, or `error` and `close`. */
export interface BodySource extends EventEmitter {
  readonly destroyed: boolean
  /** What it was destroyed with. */
  readonly errored: Error | null
  pause (): void
  resume (): void
  destroy (error?: Error): void
}

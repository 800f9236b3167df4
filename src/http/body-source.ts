import type { EventEmitter } from 'node:events'

/** A body as it comes; streams are such. `data` begins with `resume`; the last is `end`, or `error` and `close`. */
export interface BodySource extends EventEmitter {
  pause (): void
  resume (): void
  destroy (error?: Error): void
}

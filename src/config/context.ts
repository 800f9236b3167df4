import type { Credentials } from './bindings.ts'
import type { ConfigDocument } from './document.ts'
import type { Reporter } from './problem.ts'

/** What the parts of a configuration need of one another. */
export interface Context {
  readonly document: ConfigDocument
  readonly credentials: Credentials
  readonly reporter: Reporter
}

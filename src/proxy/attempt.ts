import type { Injection } from '../auth/injection.ts'
import type { SplicedBody } from '../route/body.ts'
import type { Exchange } from '../upstream/exchange.ts'

/** One sending of a request. */
export interface Attempt {
  /** It is the one that follows a 401. */
  readonly second: boolean
  readonly injections: readonly Injection[]
  /** What the attempt before it carried. */
  readonly spent: readonly Injection[]
  /** The request's body with the injected fields in it, where they go there. */
  readonly spliced: SplicedBody | undefined
  /** Undefined until it leaves. */
  exchange: Exchange | undefined
}

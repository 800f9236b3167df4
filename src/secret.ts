import { timingSafeEqual, createHash } from 'node:crypto'
import { inspect } from 'node:util'

const REDACTED = '[Redacted]'

/**
 * A value that has no text form: string conversion, JSON, `inspect` and structured logging all give `[Redacted]`.
 * Only {@link Secret.reveal} opens it; `test/architecture.test.ts` lists the files that may call that.
 *
 * @example
 * const secret = new Secret('hunter2')
 * console.log(secret, `${secret}`) // [Redacted] [Redacted]
 * secret.equals('hunter2') // true
 */
export class Secret {
  readonly #value: string

  constructor (value: string) {
    this.#value = value
  }

  /** The value itself. Call it only where bytes leave for the upstream or the identity provider. */
  reveal (): string {
    return this.#value
  }

  /** Whether it has fewer characters; for warnings, which never say how many it has. */
  isShorterThan (length: number): boolean {
    return this.#value.length < length
  }

  /** Whether it has the form of a pattern; for checks of what may be sent, which say no more than that. */
  matches (pattern: RegExp): boolean {
    return pattern.test(this.#value)
  }

  /** Compares in constant time, whatever the lengths (both sides are hashed first). */
  equals (other: string | Secret): boolean {
    const text = typeof other === 'string' ? other : other.#value
    return timingSafeEqual(digest(this.#value), digest(text))
  }

  toString (): string {
    return REDACTED
  }

  toJSON (): string {
    return REDACTED
  }

  [Symbol.toPrimitive] (): string {
    return REDACTED
  }

  [inspect.custom] (): string {
    return REDACTED
  }
}

function digest (text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

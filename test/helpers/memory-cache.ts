import type { CachedToken, TokenCache } from '#src/token/cache/cache.ts'

/** A cache that lasts as long as its test, and writes down what it was asked. */
export class MemoryCache implements TokenCache {
  held: CachedToken | undefined
  readonly calls: string[] = []

  constructor (held?: CachedToken) {
    this.held = held
  }

  async read (): Promise<CachedToken | undefined> {
    this.calls.push('read')
    return this.held
  }

  async write (token: CachedToken): Promise<void> {
    this.calls.push('write')
    this.held = token
  }

  async remove (): Promise<void> {
    this.calls.push('remove')
    this.held = undefined
  }
}

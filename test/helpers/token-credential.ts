import type { Binding } from '#src/auth/scheme.ts'
import { Secret } from '#src/secret.ts'
import type { CredentialOptions } from '#src/token/store.ts'
import type { TokenError } from '#src/token/token.ts'

/** A credential whose tokens are `NAME-1`, `NAME-2`, …: one for each login. */
export interface TokenCredential {
  readonly options: CredentialOptions
  /** Its token as a bearer. */
  readonly bearer: Binding
  /** How often the identity provider was asked. */
  readonly logins: () => number
  /** The next logins wait until `release` is called. */
  readonly hold: () => void
  readonly release: () => void
  /** Every login from now on fails with this. */
  readonly fail: (error: TokenError) => void
}

/** Makes a credential with an identity provider of its own, which a test can slow down and break. */
export function createTokenCredential (name = 'api'): TokenCredential {
  let logins = 0
  let gate: Promise<void> = Promise.resolve()
  let open = (): void => {}
  let failure: TokenError | undefined
  const login = async () => {
    logins++
    const value = new Secret(`${name}-${logins}`)
    await gate
    if (failure !== undefined) throw failure
    return { value, lifetimeMs: 3_600_000 }
  }
  return {
    options: { name, type: 'oauth2', source: { token: login } },
    bearer: { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: name } },
    logins: () => logins,
    hold: () => { gate = new Promise((resolve) => { open = resolve }) },
    release: () => { open() },
    fail: (error) => { failure = error }
  }
}

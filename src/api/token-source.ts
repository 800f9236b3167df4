import type { CredentialConfig } from '../config/config.ts'
import { readCredentialObject } from '../config/object.ts'
import { readProxyEnvironment, type ProxyEnvironment } from '../http/proxies.ts'
import { CognitoWorker, createCognitoSource } from '../token/cognito/source.ts'
import { createCustomSource } from '../token/custom.ts'
import { createOAuth2Source } from '../token/oauth2/source.ts'
import { LONGEST_LIFETIME_MS } from '../token/schedule.ts'
import type { TokenSource } from '../token/token.ts'
import { ConfigError } from './config-error.ts'
import type { CredentialInput } from './input.ts'

/** What {@link createTokenSource} takes beside the credential. */
export interface TokenSourceOptions {
  /** The forward proxies on the way to the identity provider (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/**
 * Makes the source of a credential's tokens, for every type of credential that a configuration may have. The source holds no
 * token: each call is a login, or a refresh; see {@link createRefresher} for what keeps one. A login ends after 10 s. Those to
 * Cognito share one thread, which keeps no process alive.
 *
 * @param credential the keys of the file. Strings are taken as they are (no `${NAME}`), and a `Secret` may stand in place of each
 * @returns a source whose `token(signal, renewal?)` rejects with a {@link TokenError} and nothing else, as far as it is not an own one
 * @throws ConfigError with everything that is wrong with the credential, at once
 * @example
 * const source = createTokenSource({
 *   type: 'cognito',
 *   userPoolId: 'eu-west-1_AbCdEf123',
 *   clientId: '1h57kf5cpq17m0eml12EXAMPLE',
 *   username: 'orders-batch',
 *   password: process.env.ORDERS_PASSWORD
 * })
 * const { value, lifetimeMs, renewal } = await source.token(AbortSignal.timeout(10_000))
 */
export function createTokenSource (credential: CredentialInput, { env = process.env }: TokenSourceOptions = {}): TokenSource {
  const { credential: config, problems } = readCredentialObject(credential)
  if (config === undefined) throw new ConfigError(problems)
  return sourceOf(config, readProxyEnvironment(env))
}

function sourceOf (config: CredentialConfig, proxies: ProxyEnvironment): TokenSource {
  switch (config.type) {
    case 'static': {
      const grant = { value: config.value, lifetimeMs: LONGEST_LIFETIME_MS }
      return { token: async () => grant }
    }
    case 'cognito': case 'defender-relayer': case 'defender-admin': return createCognitoSource(config, workerFor(proxies))
    case 'oauth2': return createOAuth2Source(config, { proxies })
    case 'custom': return createCustomSource(config)
    default: return config satisfies never
  }
}

const workers = new Map<string, CognitoWorker>()

/** One thread for all sources that go by the same proxies: it costs megabytes, and serves any number of credentials. */
function workerFor (proxies: ProxyEnvironment): CognitoWorker {
  const key = JSON.stringify([proxies.httpProxy, proxies.httpsProxy, proxies.noProxy])
  const worker = workers.get(key) ?? new CognitoWorker({ proxies })
  workers.set(key, worker)
  return worker
}

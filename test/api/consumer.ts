/**
 * A program that uses the package, for the compiler alone: every export with the types that its documents promise. It is
 * checked against what ships, with options of its own and the declarations of all dependencies (types.test.ts).
 */
import {
  ConfigError,
  createFetch,
  createLogger,
  createProxy,
  createRefresher,
  createTokenSource,
  CredentialStore,
  ERRORS,
  formatAddress,
  formatProblem,
  ListenError,
  loadConfig,
  parseAddress,
  ProxyError,
  Secret,
  startServer,
  TokenError,
  type Config,
  type ConfigInput,
  type CredentialInput,
  type CustomSource,
  type ErrorCode,
  type FailureClass,
  type FetchScheme,
  type Grant,
  type Problem,
  type Proxy,
  type Refresher,
  type RunningServer,
  type Status,
  type Token,
  type TokenSource
} from 'countersign'

/** Both ways: the types are the same, and neither is `any`. */
type Same<One, Other> = [One] extends [Other] ? ([Other] extends [One] ? (0 extends 1 & One ? false : true) : false) : false

function same<One, Other> (_same: Same<One, Other>): void {}

const own: CustomSource = { token: async (signal, renewal) => ({ value: signal.aborted ? 'a' : renewal?.refreshToken ?? new Secret('b') }) }

const credentials: Record<string, CredentialInput> = {
  cognito: { type: 'cognito', userPoolId: 'eu-west-1_a', clientId: 'b', username: 'c', password: new Secret('d'), tokenUse: 'id' },
  relayer: { type: 'defender-relayer', apiKey: 'a', apiSecret: 'b' },
  admin: { type: 'defender-admin', apiKey: new Secret('a'), apiSecret: 'b', endpoint: undefined },
  oauth2: { type: 'oauth2', tokenUrl: 'https://a', clientId: 'b', clientSecret: 'c', scope: ['d', new Secret('e')], extra: { f: 'g' } },
  fixed: { type: 'static', username: 'a', password: 'b' },
  own: { type: 'custom', source: own }
}
const config: ConfigInput = {
  credentials,
  routes: [
    { prefix: '/a', upstream: 'https://a', credential: 'own', allow: ['GET /**'], tls: { ca: 'ca.pem' } },
    { listen: '127.0.0.1:0', upstream: 'https://b', inject: [{ type: 'apiKey', in: 'query', name: 'key', use: 'value', credential: 'fixed' }] }
  ],
  limits: { requests: 10 },
  accessLog: { sample: 0.5 },
  callerToken: new Secret('0123456789abcdef')
}

// @ts-expect-error -- must not compile: a key that no route has
export const misspelt: ConfigInput = { routes: [{ prefx: '/a' }] }
// @ts-expect-error -- must not compile: a type that no credential has
export const unknown: CredentialInput = { type: 'oauth1' }
// @ts-expect-error -- must not compile: a source without its method
export const empty: CredentialInput = { type: 'custom', source: {} }
// @ts-expect-error -- must not compile: bound to nothing
export const unbound = (): unknown => createFetch(createRefresher(own), { type: 'http', scheme: 'bearer' })
// @ts-expect-error -- must not compile: no text form
export const shown: string = new Secret('a')

export async function useProxy (): Promise<void> {
  const proxy = createProxy({ config, listen: '127.0.0.1:0', admin: 'off', env: process.env, log: console })
  same<typeof proxy, Proxy>(true)
  await proxy.start()
  await proxy.whenReady()
  same<Awaited<ReturnType<Proxy['reload']>>, boolean>(true)
  same<ReturnType<Proxy['status']>, Status>(true)
  const [first] = proxy.status().credentials
  const expiresAt: string | null | undefined = first?.expiresAt
  const url: URL = new URL(proxy.url)
  await proxy.stop()
  createProxy()
  createProxy({ configFile: 'countersign.jsonc', secretsFile: 'secrets.env' })
  console.log(expiresAt, url)
}

export async function useTokens (): Promise<void> {
  const source = createTokenSource({ type: 'static', value: 'a' }, { env: {} })
  same<typeof source, TokenSource>(true)
  same<Awaited<ReturnType<typeof source.token>>, Grant>(true)
  const refresher = createRefresher(source, { name: 'a', onFetch: ({ outcome }) => { console.log(outcome) } })
  same<typeof refresher, Refresher>(true)
  const token = await refresher.get(AbortSignal.timeout(1))
  same<typeof token, Token>(true)
  same<ReturnType<Refresher['current']>, Token | undefined>(true)
  refresher.reject(token)
  const text: string = token.value.reveal()
  refresher.stop()
  createRefresher(own).stop()
  const store = new CredentialStore({ credentials: [{ name: 'a', type: 'custom', source }, { name: 'b', type: 'static', value: new Secret(text) }] })
  store.start()
  const schemes: FetchScheme[] = [{ type: 'http', scheme: 'bearer', credential: 'a' }, { type: 'apiKey', in: 'header', name: 'k', value: 'v' }]
  const send = createFetch(store, schemes, { base: new URL('https://a') })
  same<typeof send, typeof fetch>(true)
  const response: Response = await send('/a', { method: 'POST', body: 'b' })
  await response.text()
  await store.stop()
}

export function useErrors (error: unknown): string {
  if (error instanceof ConfigError) return error.problems.map((problem: Problem) => formatProblem(problem)).join('\n')
  if (error instanceof TokenError) {
    same<typeof error.class, FailureClass>(true)
    return error.code
  }
  if (error instanceof ListenError) return error.message
  if (!(error instanceof ProxyError)) return ''
  const code: ErrorCode = error.code
  return String(ERRORS[code].status)
}

export async function useParts (): Promise<RunningServer | undefined> {
  const loaded = loadConfig({ env: process.env, cwd: '/', options: { config: 'a' } })
  if (!loaded.ok) return undefined
  same<typeof loaded.config, Config>(true)
  const log = createLogger({ level: 'info', destination: process.stdout, readable: false, colour: false })
  const address = parseAddress('127.0.0.1:0')
  if (address !== undefined) log.info({ address: formatAddress(address) }, 'address')
  return await startServer({ config: loaded.config, log, proxies: {} })
}

// The entry of the worker thread that owns amazon-cognito-identity-js whole: its global `fetch`, its arithmetic, its clock, its storage.
// Nothing else imports it, so that it can go: AWS ends its support on 2027-03-01, which is why its types mark every class as deprecated.
/* eslint-disable @typescript-eslint/no-deprecated */
import { AsyncLocalStorage } from 'node:async_hooks'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type * as cognitoLibrary from 'amazon-cognito-identity-js'
import type { CognitoUser, ICognitoStorage } from 'amazon-cognito-identity-js'
import { deadlineExceeded, unknownFailure, type Classification } from '../provider/failures.ts'
import { createConnections } from '../provider/client.ts'
import { lifetimeOf } from '../provider/lifetime.ts'
import { COGNITO_SETTINGS, FLOW_OFF } from './classify.ts'
import { createCognitoFetch, type CognitoFetch, type Negotiation } from './fetch.ts'
import type { NegotiationRequest, FromWorker, PlainFailure, PlainGrant, PlainRenewal, ToWorker, WorkerSettings } from './messages.ts'
import { formatTimestamp } from './timestamp.ts'
import { replaceModPow, type BigIntegerClass } from './mod-pow.ts'

if (parentPort !== null) await serve(parentPort, workerData as WorkerSettings) // what thread.ts hands over

type Library = typeof cognitoLibrary

async function serve (port: MessagePort, { proxies }: WorkerSettings): Promise<void> {
  hideEnvironment()
  const send = (message: FromWorker): void => { port.postMessage(message) }
  const current = new AsyncLocalStorage<Negotiation>()
  const connections = createConnections(proxies)
  const cognitoFetch = createCognitoFetch(connections.senderTo, () => current.getStore())
  // Before the library is loaded: isomorphic-unfetch takes the global that it finds.
  Reflect.set(globalThis, 'fetch', cognitoFetch)
  const { default: library } = await import('amazon-cognito-identity-js')
  if (!await adaptLibrary(() => current.getStore())) {
    send({
      type: 'warning',
      message:
        'OpenSSL computes other powers than amazon-cognito-identity-js: logins use the slow arithmetic of the library; please report this with the versions of Node and OpenSSL'
    })
  }
  const aborts = new Map<number, AbortController>()
  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'negotiation':
        run(message.id, message.request)
        return
      case 'abort':
        aborts.get(message.id)?.abort()
        return
      case 'ping':
        send({ type: 'pong' })
        return
      case 'close':
        for (const abort of aborts.values()) abort.abort()
        port.close()
        connections.close().catch(() => {})
        return
      default:
        message satisfies never
    }
  })

  // The first sign of life: from now on silence means something.
  send({ type: 'pong' })

  function run (id: number, request: NegotiationRequest): void {
    const abort = new AbortController()
    const deadline = setTimeout(() => { abort.abort() }, request.deadlineMs)
    aborts.set(id, abort)
    const negotiation: Negotiation = { request, signal: abort.signal, clockSkewMs: undefined, tokens: undefined, failure: undefined }
    current.run(negotiation, () => perform(library, cognitoFetch, negotiation)).then((device) => {
      send(resultOf(id, negotiation, device))
    }).catch(() => {
      // Nothing of the error is passed on: its message and its stack may quote what the library was given.
      send({ type: 'failure', id, failure: withSkew(unknownFailure(COGNITO_SETTINGS), negotiation) })
    }).finally(() => {
      clearTimeout(deadline)
      aborts.delete(id)
      // Whatever the library still sends for this negotiation fails.
      abort.abort()
    })
  }
}

// Secrets of the process are in its environment, and what this thread needs is handed over: it reads none of it. Its copies of
// NODE_TLS_REJECT_UNAUTHORIZED and of the proxy variables go with the rest.
function hideEnvironment (): void {
  for (const name of Object.keys(process.env)) delete process.env[name]
}

/** Gives the library our clock and OpenSSL's arithmetic. @returns whether powers are computed by OpenSSL */
async function adaptLibrary (current: () => Negotiation | undefined): Promise<boolean> {
  // CommonJS, so these are the very modules that the library uses.
  const { default: { default: DateHelper } } = await import('amazon-cognito-identity-js/lib/DateHelper.js')
  const { default: { default: BigInteger } } = await import('amazon-cognito-identity-js/lib/BigInteger.js')
  DateHelper.prototype.getNowString = () => formatTimestamp(Date.now(), current()?.clockSkewMs)
  return replaceModPow(BigInteger as BigIntegerClass)
}

interface Device {
  readonly key: string
  readonly groupKey: string
  readonly password: string
}

/** Runs a negotiation to its end. The tokens or the failure are then in `negotiation`. @returns the device that the renewal needs */
async function perform (library: Library, cognitoFetch: CognitoFetch, negotiation: Negotiation): Promise<Device | undefined> {
  const { request, signal } = negotiation
  if (request.kind === 'login') return await logIn(library, request, signal, negotiation)
  const { renewal, clientSecret } = request
  if (renewal === undefined) throw new TypeError('a refresh needs a renewal')
  // SECRET_HASH of a refresh is made over the name in the pool, which a refresh no longer knows; this call takes the secret itself.
  if (clientSecret === undefined) await refresh(library, request, renewal, signal)
  const flowIsOff = negotiation.failure?.class === 'refresh-dead' && FLOW_OFF.has(negotiation.failure.code)
  if (clientSecret !== undefined || flowIsOff) {
    negotiation.failure = undefined
    await getTokensFromRefreshToken(cognitoFetch, request, renewal)
  }
  return renewal.device
}

async function logIn (
  library: Library,
  request: NegotiationRequest,
  signal: AbortSignal,
  negotiation: Negotiation
): Promise<Device | undefined> {
  const user = createUser(library, request, createStorage())
  user.setAuthenticationFlowType(request.authFlow === 'srp' ? 'USER_SRP_AUTH' : 'USER_PASSWORD_AUTH')
  const details = new library.AuthenticationDetails({ Username: request.username, Password: request.password ?? '' })
  await settled(signal, (done) => {
    // Every callback is there, because a missing one is a TypeError in the library; none throws, because that would call
    // onFailure as well (Client.js:112-149). What they bring is not looked at: our fetch has judged the responses.
    user.authenticateUser(details, {
      onSuccess: done,
      onFailure: done,
      newPasswordRequired: done,
      mfaRequired: done,
      totpRequired: done,
      selectMFAType: done,
      mfaSetup: done,
      customChallenge: done
    })
  })
  const { randomPassword } = user as unknown as { readonly randomPassword?: string | null }
  const device = negotiation.tokens?.newDevice
  return device !== undefined && typeof randomPassword === 'string' ? { ...device, password: randomPassword } : undefined
}

async function refresh (library: Library, request: NegotiationRequest, renewal: PlainRenewal, signal: AbortSignal): Promise<void> {
  const storage = createStorage()
  const prefix = `CognitoIdentityServiceProvider.${request.clientId}`
  // The only way to hand refreshSession a device key (CognitoUser.js, refreshSession).
  storage.setItem(`${prefix}.LastAuthUser`, request.username)
  if (renewal.device !== undefined) storage.setItem(`${prefix}.${request.username}.deviceKey`, renewal.device.key)
  const user = createUser(library, request, storage)
  await settled(signal, (done) => { user.refreshSession(new library.CognitoRefreshToken({ RefreshToken: renewal.refreshToken }), done) })
}

// The library does not know this call. Clients with rotation need it, where REFRESH_TOKEN_AUTH is off, and clients with a secret.
async function getTokensFromRefreshToken (cognitoFetch: CognitoFetch, request: NegotiationRequest, renewal: PlainRenewal): Promise<void> {
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AWSCognitoIdentityProviderService.GetTokensFromRefreshToken'
  }
  const body = JSON.stringify({
    ClientId: request.clientId, RefreshToken: renewal.refreshToken, ClientSecret: request.clientSecret, DeviceKey: renewal.device?.key
  })
  // Where it is rejected, `negotiation.failure` tells so already.
  await cognitoFetch(request.endpoint, { headers, body }).catch(() => {})
}

/**
 * Makes a new user for every attempt: the library renames it to USER_ID_FOR_SRP on the way (CognitoUser.js:279). The storage goes to both:
 * the default one is a single object for the whole module, in which credentials would meet (StorageHelper.js:6).
 */
function createUser (library: Library, request: NegotiationRequest, storage: ICognitoStorage): CognitoUser {
  const pool = new library.CognitoUserPool({
    UserPoolId: request.userPoolId,
    ClientId: request.clientId,
    endpoint: request.endpoint,
    Storage: storage
  })
  return new library.CognitoUser({ Username: request.username, Pool: pool, Storage: storage })
}

/** Makes a storage that lives as long as its negotiation. */
function createStorage (): ICognitoStorage {
  const items = new Map<string, string>()
  return {
    setItem: (key, value) => { items.set(key, value) },
    getItem: (key) => items.get(key) ?? null,
    removeItem: (key) => { items.delete(key) },
    clear: () => { items.clear() }
  }
}

/** Resolves with the first call of `done`, or when the signal aborts. */
async function settled (signal: AbortSignal, start: (done: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => { resolve() }, { once: true })
    start(() => { resolve() })
  })
}

/**
 * Makes the message that ends a negotiation. Tokens that arrived are a success, even where the library failed afterwards: at
 * ConfirmDevice, or at the deadline.
 */
function resultOf (id: number, negotiation: Negotiation, device: Device | undefined): FromWorker {
  const { tokens, request, clockSkewMs } = negotiation
  if (tokens === undefined) {
    const { aborted } = negotiation.signal
    return {
      type: 'failure',
      id,
      failure: negotiation.failure ??
        withSkew(aborted ? deadlineExceeded(request.deadlineMs) : unknownFailure(COGNITO_SETTINGS), negotiation)
    }
  }
  // Without a new one the old refresh token stays good.
  const refreshToken = tokens.refreshToken ?? request.renewal?.refreshToken
  const grant: PlainGrant = {
    value: tokens.value,
    lifetimeMs: lifetimeOf(tokens.value, tokens.expiresIn),
    renewal: refreshToken === undefined ? undefined : { refreshToken, device },
    clockSkewMs
  }
  return { type: 'grant', id, grant }
}

function withSkew (classification: Classification, { clockSkewMs }: Negotiation): PlainFailure {
  return { ...classification, retryAfterMs: undefined, clockSkewMs }
}

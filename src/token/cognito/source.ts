import type { ProxyEnvironment } from '../../http/proxies.ts'
import { Secret } from '../../secret.ts'
import type { NegotiationRequest, PlainGrant, PlainRenewal } from './messages.ts'
import { CognitoThread, lost, workerEntry } from './thread.ts'
import type { Grant, Renewal, TokenError, TokenSource } from '../token.ts'

/** What logging in needs of a user of a user pool. */
export interface CognitoCredential {
  readonly userPoolId: string
  readonly clientId: string
  readonly username: Secret
  readonly password: Secret
  readonly tokenUse: 'access' | 'id'
  /** The identity provider's base URL; whether plain `http:` is allowed was decided before. */
  readonly endpoint: string
  readonly clientSecret?: Secret
  /** `srp` (default) proves the password, `password` sends it. */
  readonly authFlow?: 'srp' | 'password'
}

export interface CognitoWorkerOptions {
  /** The proxies on the way to identity providers; default: none. */
  readonly proxies?: ProxyEnvironment
  /** Milliseconds for a whole login or refresh; default 10 000. */
  readonly deadlineMs?: number
  /** After so many milliseconds without a sign of life, with negotiations under way, the thread is replaced; default 10 000. */
  readonly silenceMs?: number
  /** Called with what a person should know; holds no secret. */
  readonly onWarning?: (message: string) => void
  /** The thread's module, for tests of threads that misbehave. */
  readonly entry?: URL
}

/** What a caller says of a login or a refresh; the worker adds the deadline. */
export type NegotiationParameters = Omit<NegotiationRequest, 'deadlineMs'>

/**
 * The one thread that talks to Cognito. It starts with the first negotiation, serves all credentials, and is replaced when it
 * crashes or falls silent. It keeps the process alive only while a negotiation is under way.
 */
export class CognitoWorker {
  readonly #options: CognitoWorkerOptions
  #thread: CognitoThread | undefined
  #closed = false
  #lastId = 0

  constructor (options: CognitoWorkerOptions = {}) {
    this.#options = options
  }

  /** Whether there is a thread. */
  get running (): boolean {
    return this.#thread !== undefined
  }

  /** Runs one negotiation; an abort ends it at once. @throws a {@link TokenError} as a rejection, and nothing else */
  async negotiate (parameters: NegotiationParameters, signal: AbortSignal): Promise<PlainGrant> {
    if (this.#closed) throw lost('Closed', 'The login was given up because the proxy stops.')
    if (signal.aborted) throw aborted()
    const thread = this.#thread ??= this.#start()
    const id = ++this.#lastId
    return await new Promise<PlainGrant>((resolve, reject) => {
      const onAbort = (): void => {
        thread.post({ type: 'abort', id })
        thread.settle(id)?.reject(aborted())
      }
      signal.addEventListener('abort', onAbort, { once: true })
      thread.add(id, { resolve, reject, forget: () => { signal.removeEventListener('abort', onAbort) } })
      thread.post({ type: 'negotiation', id, request: { ...parameters, deadlineMs: this.#options.deadlineMs ?? 10_000 } })
    })
  }

  /** Ends the thread; negotiations under way end as transient failures. */
  async close (): Promise<void> {
    this.#closed = true
    const thread = this.#thread
    this.#thread = undefined
    await thread?.close()
  }

  #start (): CognitoThread {
    const thread = new CognitoThread({
      entry: this.#options.entry ?? workerEntry(),
      settings: { proxies: this.#options.proxies ?? {} },
      silenceMs: this.#options.silenceMs ?? 10_000,
      onWarning: this.#options.onWarning ?? (() => {}),
      onEnd: () => { if (this.#thread === thread) this.#thread = undefined }
    })
    return thread
  }
}

/**
 * Makes the source of one credential's tokens. It keeps nothing but the credential: the password crosses to the worker with each
 * login and stays nowhere.
 */
export function createCognitoSource (credential: CognitoCredential, worker: CognitoWorker): TokenSource {
  const parametersOf = (renewal: Renewal | undefined): NegotiationParameters => ({
    kind: renewal === undefined ? 'login' : 'refresh',
    endpoint: credential.endpoint,
    userPoolId: credential.userPoolId,
    clientId: credential.clientId,
    clientSecret: credential.clientSecret?.reveal(),
    username: credential.username.reveal(),
    password: renewal === undefined ? credential.password.reveal() : undefined,
    authFlow: credential.authFlow ?? 'srp',
    tokenUse: credential.tokenUse,
    renewal: renewal && openRenewal(renewal)
  })
  return { token: async (signal, renewal) => sealGrant(await worker.negotiate(parametersOf(renewal), signal)) }
}

function sealGrant ({ value, lifetimeMs, renewal, clockSkewMs }: PlainGrant): Grant {
  return {
    value: new Secret(value),
    ...(lifetimeMs !== undefined && { lifetimeMs }),
    ...(renewal !== undefined && { renewal: sealRenewal(renewal) }),
    ...(clockSkewMs !== undefined && { clockSkewMs })
  }
}

function sealRenewal ({ refreshToken, device }: PlainRenewal): Renewal {
  const sealed = { refreshToken: new Secret(refreshToken) }
  return device === undefined ? sealed : { ...sealed, device: { ...device, password: new Secret(device.password) } }
}

function openRenewal ({ refreshToken, device }: Renewal): PlainRenewal {
  return { refreshToken: refreshToken.reveal(), device: device && { ...device, password: device.password.reveal() } }
}

function aborted (): TokenError {
  return lost('Aborted', 'The login was given up before it was answered.')
}

import type { Socket } from 'node:net'
import type { Test } from 'tap'
import type { Fault as CognitoFault } from '#src/demo/cognito-faults.ts'
import type { TokenSource } from '#src/token/token.ts'
import { type startWorker, sourceFor as cognitoSourceFor, startEmulator } from '../helpers/cognito.ts'
import { respond, issued, sourceFor as oauth2SourceFor, startScriptedServer, type Reply } from '../helpers/oauth2.ts'

export type Kind = 'cognito' | 'oauth2'

/** A way of an identity provider to misbehave, as it reads in either protocol; absent where a protocol has no such thing. */
export interface Fault {
  readonly cognito?: CognitoFault
  readonly oauth2?: Reply
}

/** A real identity provider on a real socket, with tokens of one hour. */
export interface Provider {
  readonly source: TokenSource
  /** What it was asked, oldest first: the flow or the challenge of Cognito, the grant type of OAuth 2.0. */
  readonly calls: () => string[]
  /** Resolves once it was asked so many times. */
  readonly called: (count: number) => Promise<void>
  /** Every call from now on meets the fault. */
  readonly suffer: (fault: Fault) => void
  readonly recover: () => void
}

/** Starts one that ends with the test. Its thread, for Cognito, belongs to the whole file. */
export async function startProvider (t: Test, kind: Kind, worker: ReturnType<typeof startWorker>): Promise<Provider> {
  return kind === 'cognito' ? await startCognito(t, worker) : await startOAuth2(t)
}

async function startCognito (t: Test, worker: ReturnType<typeof startWorker>): Promise<Provider> {
  const waiting = new Set<() => void>()
  const emulator = await startEmulator(t, { onEvent: () => { for (const look of [...waiting]) look() } })
  return {
    source: cognitoSourceFor(emulator.url, worker),
    calls: () => emulator.record.map(({ flow = '' }) => flow),
    called: (count) => new Promise((resolve) => {
      const look = (): void => {
        if (emulator.record.length < count) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    }),
    suffer: ({ cognito }) => { if (cognito !== undefined) emulator.faults.add({ ...cognito, times: Infinity }) },
    recover: () => { emulator.faults.clear() }
  }
}

async function startOAuth2 (t: Test): Promise<Provider> {
  let tokens = 0
  const give = (socket: Socket): void => { socket.write(issued({ access_token: `token-${++tokens}` })) }
  const server = await startScriptedServer(t, give)
  return {
    source: oauth2SourceFor(server.url),
    calls: () => server.calls.map(({ form }) => form.get('grant_type') ?? ''),
    called: server.called,
    suffer: ({ oauth2 }) => { if (oauth2 !== undefined) server.reply = oauth2 },
    recover: () => { server.reply = give }
  }
}

const HTML = '<!doctype html><h1>Not what you asked for</h1>'
const page = (status: number): string => respond(status, HTML, { 'Content-Type': 'text/html' })
const TOKEN = issued()

/** Faults by name, with the code that `/status` then shows. */
export const FAULTS: Readonly<
  Record<
    string,
    Fault & { readonly class: 'transient' | 'rejected', readonly codes: Readonly<Record<Kind, string>>, readonly hangs?: true }
  >
> = {
  'an error of the service': transient(
    { type: 'error', code: 'InternalErrorException', message: '', status: 500 },
    respond(500, {}),
    'InternalErrorException',
    'ServerError'
  ),
  "a gateway's 502 in HTML": transient({ type: 'bad-gateway' }, page(502), 'ServerError', 'ServerError'),
  "a captive portal's 200 in HTML": transient({ type: 'captive-portal' }, page(200), 'UnexpectedAnswer', 'UnexpectedAnswer'),
  'an empty 200': transient({ type: 'empty' }, respond(200, ''), 'UnexpectedAnswer', 'UnexpectedAnswer'),
  'a 200 without a token': transient({ type: 'no-tokens' }, respond(200, {}), 'UnexpectedAnswer', 'UnexpectedAnswer'),
  'half a response': transient({ type: 'truncated' }, respond(200, '{"access_token":"to'), 'UnexpectedAnswer', 'UnexpectedAnswer'),
  'a reset in the middle of a response': transient({ type: 'reset' }, resetWithin, 'NetworkError', 'NetworkError'),
  'a connection that is closed without a response': transient(
    { type: 'drop' },
    (socket) => {
      socket.destroy()
    },
    'NetworkError',
    'NetworkError'
  ),
  'no answer at all': { ...transient({ type: 'hang' }, () => {}, 'Timeout', 'Timeout'), hangs: true },
  'a redirect': transient(
    { type: 'redirect', location: 'http://127.0.0.1:1/' },
    respond(307, '', { Location: 'http://127.0.0.1:1/' }),
    'UnexpectedAnswer',
    'Redirected'
  ),
  throttling: transient({ type: 'throttled' }, respond(429, {}), 'TooManyRequestsException', 'TooManyRequests'),
  'a wrong secret, or throttling in disguise': rejected(
    { type: 'throttled-in-disguise' },
    respond(401, { error: 'invalid_client' }),
    'NotAuthorizedException',
    'invalid_client'
  ),
  'a credential that is switched off': rejected(
    { type: 'error', code: 'NotAuthorizedException', message: 'User is disabled.' },
    respond(400, { error: 'unauthorized_client' }),
    'NotAuthorizedException',
    'unauthorized_client'
  ),
  'an unknown client': rejected(
    { type: 'error', code: 'ResourceNotFoundException', message: '' },
    respond(401, { error: 'unknown' }),
    'ResourceNotFoundException',
    'Unauthorized'
  ),
  'a challenge, or a grant that is not allowed': rejected(
    { type: 'challenge', name: 'SMS_MFA' },
    respond(403, { error: 'access_denied' }),
    'SMS_MFA',
    'access_denied'
  )
}

function transient (cognito: CognitoFault, oauth2: Reply, ...[cognitoCode, oauth2Code]: [string, string]) {
  return { class: 'transient', cognito, oauth2, codes: { cognito: cognitoCode, oauth2: oauth2Code } } as const
}

function rejected (cognito: CognitoFault, oauth2: Reply, ...[cognitoCode, oauth2Code]: [string, string]) {
  return { class: 'rejected', cognito, oauth2, codes: { cognito: cognitoCode, oauth2: oauth2Code } } as const
}

function resetWithin (socket: Socket): void {
  socket.write(TOKEN.slice(0, TOKEN.length / 2), () => { socket.resetAndDestroy() })
}

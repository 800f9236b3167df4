import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { createOAuth2Source, type OAuth2Credential, type OAuth2Options } from '#src/token/oauth2/source.ts'
import { TokenError, type TokenSource } from '#src/token/token.ts'
import type { FetchEvent } from '#src/token/report.ts'
import type { Certificate } from './certificates.ts'

/** A signal that never aborts. */
export const NEVER: AbortSignal = new AbortController().signal

/** A request as it came in, byte for byte and taken apart. */
interface TokenCall {
  readonly raw: string
  readonly requestLine: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  readonly form: URLSearchParams
  /** Settles when the connection is over. */
  readonly closed: Promise<void>
}

/** What a scripted server does with a request: the bytes of a response, or anything at all with the connection. */
export type Reply = string | Buffer | ((socket: Socket) => void)

export interface ScriptedServer {
  readonly url: string
  readonly port: number
  readonly calls: TokenCall[]
  /** What the next requests get, first to last; after that `reply`. */
  readonly script: Reply[]
  reply: Reply
  /** Settles when the given number of requests came in. */
  readonly called: (count: number) => Promise<void>
}

/** The bytes of a response. A string as body goes out as it is, anything else as JSON. */
export function respond (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const lines = Object.entries({ 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)), ...headers })
  return `HTTP/1.1 ${status} Whatever\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`
}

/** A response with a token, and whatever the fields say beside it. */
export function issued (fields: Readonly<Record<string, unknown>> = {}, headers: Readonly<Record<string, string>> = {}): string {
  return respond(200, { access_token: 'token-1', token_type: 'Bearer', expires_in: 3600, ...fields }, headers)
}

/** A token endpoint that does what a test tells it to, over TLS where it gets a certificate. It ends with the test. */
export async function startScriptedServer (t: Test, reply: Reply = issued(), certificate?: Certificate): Promise<ScriptedServer> {
  const waiting = createCounter()
  const onSocket = (socket: Socket): void => {
    const closed = new Promise<void>((resolve) => { socket.once('close', () => { resolve() }) })
    let bytes = Buffer.alloc(0)
    socket.on('error', () => {}).on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      const call = parseCall(bytes, closed)
      if (call === undefined) return
      bytes = Buffer.alloc(0)
      scripted.calls.push(call)
      waiting.increment()
      const next = scripted.script.shift() ?? scripted.reply
      if (typeof next === 'function') next(socket)
      else socket.write(next)
    })
  }
  const server =
    certificate === undefined ? createTcpServer(onSocket) : createTlsServer({ cert: certificate.cert, key: certificate.key }, onSocket)
  server.on('tlsClientError', () => {})
  const port = await listen(t, server)
  const scripted: ScriptedServer = {
    url: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    calls: [],
    script: [],
    reply,
    called: waiting.reached
  }
  return scripted
}

/** A CONNECT proxy that writes down what it is asked for, and connects to one port whatever that is. */
export async function startConnectProxy (
  t: Test,
  port: number,
  status = 200
): Promise<{ readonly url: string, readonly targets: string[] }> {
  const targets: string[] = []
  const server = createTcpServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', (head) => {
        targets.push(head.toString('latin1').split('\r\n')[0] ?? '')
        socket.write(`HTTP/1.1 ${status} Whatever\r\n\r\n`)
        if (status !== 200) {
          socket.end()
          return
        }
        const onward = connect(port, '127.0.0.1')
        onward.on('error', () => {
          socket.destroy()
        })
        onward.pipe(socket).pipe(onward)
      })
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, targets }
}

/** A source for that token URL, unless the fields say otherwise. */
export function sourceFor (tokenUrl: string, fields: Partial<OAuth2Credential> = {}, options: Partial<OAuth2Options> = {}): TokenSource {
  const credential = {
    tokenUrl,
    clientId: 'batch',
    clientSecret: new Secret('hush'),
    clientAuth: 'basic',
    extra: new Map(),
    ...fields
  } as const
  return createOAuth2Source(credential, { proxies: {}, ...options })
}

/** The error of a call that should fail with a TokenError. */
export async function failureOf (call: Promise<unknown>): Promise<TokenError> {
  try {
    await call
  } catch (error) {
    if (error instanceof TokenError) return error
    throw error
  }
  throw new Error('this should have failed')
}

/** User and password of a Basic header, decoded as RFC 6749 section 2.3.1 says a server must. */
export function readBasic (header: string | undefined): string[] {
  const pair = Buffer.from(String(header).slice('Basic '.length), 'base64').toString('ascii')
  const colon = pair.indexOf(':')
  return [pair.slice(0, colon), pair.slice(colon + 1)].map((part) => decodeURIComponent(part.replaceAll('+', ' ')))
}

/** A JWT with those claims that nobody signed: its reader looks at the lifetime only. */
export function createUnsignedJwt (claims: object): string {
  return [{ alg: 'none' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.') + '.c2lnbmF0dXJl'
}

/** Hears of a refresher's fetches, and lets a test wait for them. */
export function createFetchEvents (): {
  readonly onFetch: (event: FetchEvent) => void
  readonly seen: FetchEvent[]
  readonly reached: (count: number) => Promise<void>
} {
  const counter = createCounter()
  const seen: FetchEvent[] = []
  return {
    seen,
    reached: counter.reached,
    onFetch: (event) => {
      seen.push(event)
      counter.increment()
    }
  }
}

/** Listens on a free loopback port until the test is over; open connections do not keep it. */
export async function listen (t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  })
  return (server.address() as AddressInfo).port
}

function parseCall (bytes: Buffer, closed: Promise<void>): TokenCall | undefined {
  const raw = bytes.toString('latin1')
  const end = raw.indexOf('\r\n\r\n')
  const [requestLine = '', ...lines] = raw.slice(0, end).split('\r\n')
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  const body = raw.slice(end + 4)
  if (end === -1 || body.length < Number(headers.get('content-length') ?? 0)) return undefined
  return { raw, requestLine, headers, body, form: new URLSearchParams(body), closed }
}

function createCounter (): { readonly increment: () => void, readonly reached: (count: number) => Promise<void> } {
  const waiting = new Set<{ readonly count: number, readonly resolve: () => void }>()
  let count = 0
  return {
    increment: () => {
      count += 1
      for (const waiter of [...waiting]) {
        if (waiter.count > count) continue
        waiting.delete(waiter)
        waiter.resolve()
      }
    },
    reached: (wanted) => new Promise((resolve) => {
      if (count >= wanted) return resolve()
      waiting.add({ count: wanted, resolve })
    })
  }
}

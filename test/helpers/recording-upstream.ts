import { once } from 'node:events'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { framingOf, headEnd, readChunked, readHead, valuesOf, type Field } from './http-reader.ts'
import { PATIENCE_MS } from './patience.ts'
import { PatternReader } from './pattern.ts'

/** A request as it stood on the wire, and the means to answer it. */
export interface UpstreamExchange {
  readonly startLine: string
  readonly method: string
  readonly target: string
  readonly fields: readonly Field[]
  /** Every value of a header, by its name in any case. */
  readonly all: (name: string) => string[]
  readonly header: (name: string) => string | undefined
  /** Decoded; grows until `whole` resolves. Empty where the upstream does not keep bodies. */
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** How many body bytes came; on the wire where bodies are not kept. */
  readonly bodyBytes: number
  /** How many bytes on the wire were the pattern (pattern.ts), for bodies that are not kept. */
  readonly intactBytes: number
  /** True once the last byte of the request was here. */
  readonly complete: boolean
  /** Resolves once the request is whole, to false where its connection ended before. */
  readonly whole: Promise<boolean>
  readonly connection: UpstreamConnection
  /** Sends raw bytes; strings as Latin-1. */
  readonly send: (bytes: string | Buffer) => boolean
}

/** One connection to the upstream. */
interface UpstreamConnection {
  readonly socket: Socket
  /** Everything that came, as Latin-1 (without bodies where they are not kept). */
  readonly received: string
  readonly exchanges: readonly UpstreamExchange[]
  /** Resolves once the other side, or we, closed it. */
  readonly closed: Promise<void>
}

/** Answers a request: the text of a response, or undefined where the function sends by itself, or never. */
export type ScriptedResponse = (exchange: UpstreamExchange) => string | Buffer | undefined | Promise<string | Buffer | undefined>

export interface UpstreamOptions {
  /** Called once a request is whole. */
  readonly respond?: ScriptedResponse
  /** Called as soon as a request's head is here; what it returns is sent at once, and `answer` is not asked. */
  readonly early?: ScriptedResponse
  /** Certificate and key: makes it a TLS server. */
  readonly tls?: TlsOptions
  /** False: bodies are counted and compared with the pattern, not kept. */
  readonly keepBodies?: boolean
  /** False: what comes is not read as HTTP at all. */
  readonly http?: boolean
}

/** Who has a teardown: a tap test. */
interface Teardown {
  teardown (handler: () => unknown): void
}

// Far above what anything here takes: it turns a hang into a failure with a message.

/** The least that a response needs. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** The text of a response with a Content-Length. */
export function respondWith (status: string, lines: readonly string[] = [], body = ''): string {
  return [`HTTP/1.1 ${status}`, ...lines, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`, '', body].join('\r\n')
}

/** Starts an upstream on a free port of 127.0.0.1 and stops it with the test. */
export async function startUpstream (t: Teardown, options: UpstreamOptions = {}): Promise<RecordingUpstream> {
  const upstream = new RecordingUpstream(options)
  await upstream.listen()
  t.teardown(() => upstream.close())
  return upstream
}

/** A server on a raw socket that records every byte and answers what it is told to, well-formed or not. */
export class RecordingUpstream {
  readonly connections: Connection[] = []
  /** In the order in which they came, whatever connection they took. */
  readonly #arrived: Exchange[] = []
  /** How each new request is answered; may be changed at any time. */
  respond: ScriptedResponse
  early: ScriptedResponse | undefined
  readonly #server: Server
  readonly #options: UpstreamOptions
  readonly #listeners = new Set<() => void>()
  #accepted = 0

  constructor (options: UpstreamOptions) {
    this.#options = options
    this.respond = options.respond ?? (() => OK)
    this.early = options.early
    const accept = (socket: Socket): void => { this.#accept(socket) }
    this.#server = options.tls === undefined ? createTcpServer(accept) : createTlsServer(options.tls, accept)
    this.#server.on('connection', () => { this.#accepted++ })
    this.#server.on('tlsClientError', () => {})
  }

  async listen (): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port // a TCP server that listens
  }

  get origin (): string {
    return `http${this.#options.tls === undefined ? '' : 's'}://127.0.0.1:${this.port}`
  }

  /** TCP connections that were accepted, handshake or not. */
  get accepted (): number {
    return this.#accepted
  }

  /** Every request so far, oldest first. */
  get exchanges (): readonly UpstreamExchange[] {
    return this.#arrived
  }

  /** Everything that ever came, as Latin-1. */
  get received (): string {
    return this.connections.map((connection) => connection.received).join('')
  }

  /** The newest request. */
  get last (): UpstreamExchange {
    const last = this.exchanges.at(-1)
    if (last === undefined) throw new Error('the upstream has seen no request')
    return last
  }

  /** Resolves once something that is seen here fulfils a condition. */
  async until (condition: () => boolean): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    let look = (): void => {}
    await new Promise<void>((resolve, reject) => {
      look = () => { if (condition()) resolve() }
      this.#listeners.add(look)
      timer = setTimeout(() => { reject(new Error(`waited too long for ${condition.toString()}`)) }, PATIENCE_MS)
      look()
    }).finally(() => {
      clearTimeout(timer)
      this.#listeners.delete(look)
    })
  }

  async close (): Promise<void> {
    for (const { socket } of this.connections) socket.destroy()
    if (!this.#server.listening) return
    await new Promise((resolve) => { this.#server.close(resolve) })
  }

  #accept (socket: Socket): void {
    const connection = new Connection(
      socket,
      this.#options,
      () => {
        for (const listener of [...this.#listeners]) listener()
      },
      (exchange, stage) => {
        if (stage === 'head') this.#arrived.push(exchange)
        this.#reply(exchange, stage)
      }
    )
    this.connections.push(connection)
  }

  #reply (exchange: UpstreamExchange, stage: 'head' | 'whole'): void {
    const early = this.early
    if (stage === 'head' ? early === undefined : early !== undefined) return
    const respond = (stage === 'head' ? early : undefined) ?? this.respond
    Promise.resolve(respond(exchange)).then(
      (bytes) => {
        if (bytes !== undefined) exchange.send(bytes)
      },
      (error: unknown) => {
        exchange.connection.socket.destroy(error as Error)
      }
    )
  }
}

type Report = (exchange: Exchange, stage: 'head' | 'whole') => void

class Connection implements UpstreamConnection {
  readonly socket: Socket
  readonly exchanges: Exchange[] = []
  readonly closed: Promise<void>
  readonly #keepBodies: boolean
  readonly #changed: () => void
  readonly #report: Report
  #text = ''
  #buffer: Buffer = Buffer.alloc(0)
  #current: Exchange | undefined

  constructor (socket: Socket, { keepBodies = true, http = true }: UpstreamOptions, changed: () => void, report: Report) {
    this.socket = socket
    this.#keepBodies = keepBodies
    this.#changed = changed
    this.#report = report
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      if (!keepBodies && this.#current !== undefined) {
        this.#count(chunk)
        return
      }
      this.#text += chunk.toString('latin1')
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      if (http) this.#read()
      changed()
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#current?.finish(false)
        resolve()
        changed()
      })
    })
  }

  get received (): string {
    return this.#text
  }

  #read (): void {
    for (;;) {
      if (this.#current === undefined && !this.#begin()) return
      const current = this.#current
      if (current === undefined) return
      const { framing } = current
      if (framing.type === 'length') {
        current.body = this.#buffer.subarray(0, framing.bytes)
        if (this.#buffer.length < framing.bytes) return
        this.#buffer = this.#buffer.subarray(framing.bytes)
      } else if (framing.type === 'chunked') {
        const part = readChunked(this.#buffer)
        if (part === undefined) return
        current.body = part.body
        current.trailers = part.trailers
        this.#buffer = part.rest
      }
      this.#end(current)
    }
  }

  #begin (): boolean {
    const end = headEnd(this.#buffer)
    if (end === -1) return false
    const exchange = new Exchange(this, this.#buffer.toString('latin1', 0, end))
    this.#buffer = this.#buffer.subarray(end)
    this.exchanges.push(exchange)
    this.#current = exchange
    this.#report(exchange, 'head')
    if (this.#keepBodies || exchange.framing.type === 'none') return true
    const first = this.#buffer
    this.#buffer = Buffer.alloc(0)
    if (first.length > 0) this.#count(first)
    return false
  }

  // Bodies that are not kept: one request per connection at a time, told whole by its length or by the last chunk.
  #count (chunk: Buffer): void {
    const current = this.#current
    if (current === undefined) return
    current.count(chunk)
    const whole = current.framing.type === 'length' ? current.bodyBytes >= current.framing.bytes : current.tail.endsWith('0\r\n\r\n')
    if (whole) this.#end(current)
    this.#changed()
  }

  #end (exchange: Exchange): void {
    this.#current = undefined
    exchange.finish(true)
    this.#report(exchange, 'whole')
  }
}

class Exchange implements UpstreamExchange {
  readonly startLine: string
  readonly fields: readonly Field[]
  readonly connection: Connection
  readonly framing: ReturnType<typeof framingOf>
  readonly whole: Promise<boolean>
  body: Buffer = Buffer.alloc(0)
  trailers: readonly Field[] = []
  complete = false
  tail = ''
  // Functions rather than methods, since answers take exchanges apart.
  readonly all = (name: string): string[] => valuesOf(this.fields, name)
  readonly header = (name: string): string | undefined => this.all(name)[0]
  readonly send = (bytes: string | Buffer): boolean => {
    const { socket } = this.connection
    return socket.writable && socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  readonly #pattern = new PatternReader()
  #settle = (_whole: boolean): void => {}

  constructor (connection: Connection, head: string) {
    const { startLine, fields } = readHead(head)
    this.startLine = startLine
    this.fields = fields
    this.connection = connection
    this.framing = framingOf(fields, 'none')
    this.whole = new Promise((resolve) => { this.#settle = resolve })
  }

  get method (): string {
    return this.startLine.split(' ')[0] ?? ''
  }

  get target (): string {
    return this.startLine.split(' ')[1] ?? ''
  }

  get bodyBytes (): number {
    return this.#pattern.bytes === 0 ? this.body.length : this.#pattern.bytes
  }

  get intactBytes (): number {
    return this.#pattern.intact
  }

  count (chunk: Buffer): void {
    this.#pattern.take(chunk)
    this.tail = (this.tail + chunk.subarray(-8).toString('latin1')).slice(-8)
  }

  finish (complete: boolean): void {
    this.complete = complete
    this.#settle(complete)
  }
}

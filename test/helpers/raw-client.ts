import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { framingOf, headEnd, readChunked, readHead, valuesOf, type Field, type Framing } from './http-reader.ts'
import { PATIENCE_MS } from './patience.ts'

/** A response as it stood on the wire. */
export interface RawResponse {
  readonly statusCode: number
  readonly reason: string
  readonly fields: readonly Field[]
  /** Every value of a header, by its name in any case. */
  readonly all: (name: string) => string[]
  /** The one value of a header; undefined where there is none. */
  readonly header: (name: string) => string | undefined
  readonly body: Buffer
  readonly text: string
  readonly trailers: readonly Field[]
  /** False where the connection ended before the message did. */
  readonly complete: boolean
  /** Status codes of the 1xx responses in front of it. */
  readonly interim: readonly number[]
  /** How the body was delimited. */
  readonly framing: Framing['type']
}

export interface ResponseOptions {
  /** The request's method: a response to HEAD has no body. */
  readonly method?: string
}

/** Where to connect: a port of 127.0.0.1, or a unix socket. */
export type Place = number | string

// Far above what anything here takes: it turns a hang into a failure with a message.

/** Opens a connection that no HTTP library touches. */
export async function connectRaw (place: Place, host = '127.0.0.1'): Promise<RawClient> {
  const socket = typeof place === 'number' ? connect(place, host) : connect(place)
  await once(socket, 'connect')
  return new RawClient(socket)
}

/** Sends raw bytes on a connection of their own and reads one response. */
export async function rawRequest (place: Place, bytes: string | Buffer, options: ResponseOptions = {}): Promise<RawResponse> {
  const client = await connectRaw(place)
  try {
    client.send(bytes)
    return await client.response(options)
  } finally {
    client.destroy()
  }
}

/** The text of a request: CR LF line ends, Latin-1; `Host` has to be among the lines. */
export function message (startLine: string, lines: readonly string[] = [], body = ''): string {
  return [startLine, ...lines, '', body].join('\r\n')
}

/** A connection as a client sees it: bytes out, messages in. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #ended = false
  #error: Error | undefined
  #wake = (): void => {}

  constructor (socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('end', () => {
      this.#end()
    })
    socket.on('close', () => {
      this.#end()
    })
  }

  /** Strings go out as Latin-1. Never throws: a peer that closed shows when reading. */
  send (bytes: string | Buffer): boolean {
    return this.socket.writable && this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Sends bytes and resolves once they have left this process, or the connection is gone. */
  async sendAll (bytes: string | Buffer): Promise<void> {
    if (this.send(bytes) || this.#ended || this.socket.destroyed) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done)
        resolve()
      }
      this.socket.on('drain', done).on('close', done)
    })
  }

  /** Whether the other side has ended the connection. */
  get ended (): boolean {
    return this.#ended
  }

  /** Why the connection broke, where it did. */
  get error (): Error | undefined {
    return this.#error
  }

  /** What was received and not read yet. */
  get unread (): Buffer {
    return this.#received
  }

  /** Reads one whole response, with the 1xx responses in front of it. */
  async response ({ method = 'GET' }: ResponseOptions = {}): Promise<RawResponse> {
    const interim: number[] = []
    for (;;) {
      const head = await this.head()
      const statusCode = Number(head.startLine.split(' ')[1])
      if (statusCode >= 200 || statusCode === 101 || statusCode < 100) {
        return this.#body(head.startLine, head.fields, statusCode, method, interim)
      }
      interim.push(statusCode)
    }
  }

  /** Reads the next head alone, a 1xx one too. */
  async head (): Promise<{ readonly startLine: string, readonly fields: readonly Field[] }> {
    await this.until((bytes) => headEnd(bytes) !== -1)
    return readHead(this.#take(headEnd(this.#received)).toString('latin1'))
  }

  /** Reads until the other side ends the connection. */
  async rest (): Promise<Buffer> {
    while (!this.#ended) await this.#more('the connection to end')
    return this.#take(this.#received.length)
  }

  /** Waits until what was received fulfils a condition; throws where the connection ends before. */
  async until (condition: (unread: Buffer) => boolean): Promise<void> {
    while (!condition(this.#received)) {
      if (this.#ended) {
        throw new Error(
          `the connection ended${this.#error === undefined ? '' : ` (${this.#error.message})`}, unread: ${JSON.stringify(this.#received.toString('latin1').slice(0, 200))}`
        )
      }
      await this.#more('more bytes')
    }
  }

  /** Resolves once the other side has ended the connection. */
  async closed (): Promise<void> {
    while (!this.#ended) await this.#more('the connection to end')
  }

  /** Stops reading, so that the other side feels backpressure, or goes on. */
  pause (paused: boolean): void {
    if (paused) this.socket.pause()
    else this.socket.resume()
  }

  destroy (): void {
    this.socket.destroy()
  }

  /** Breaks the connection with RST. */
  reset (): void {
    // Node never closes a connection that it resets while it is being shut down.
    if (this.socket.writableEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  async #body (
    startLine: string,
    fields: readonly Field[],
    statusCode: number,
    method: string,
    interim: readonly number[]
  ): Promise<RawResponse> {
    const bodiless = method === 'HEAD' || statusCode === 204 || statusCode === 304 || statusCode === 101
    const framing: Framing = bodiless ? { type: 'none' } : framingOf(fields, 'close')
    let body: Buffer = Buffer.alloc(0)
    let trailers: readonly Field[] = []
    let complete = true
    switch (framing.type) {
      case 'none':
        break
      case 'length':
        while (this.#received.length < framing.bytes && !this.#ended) await this.#more('the rest of a body')
        complete = this.#received.length >= framing.bytes
        body = this.#take(framing.bytes)
        break
      case 'chunked': {
        let part = readChunked(this.#received)
        while (part === undefined && !this.#ended) {
          await this.#more('the rest of a chunked body')
          part = readChunked(this.#received)
        }
        complete = part !== undefined
        body = part?.body ?? this.#received
        trailers = part?.trailers ?? []
        this.#received = part?.rest ?? Buffer.alloc(0)
        break
      }
      case 'close':
        body = await this.rest()
        complete = this.#error === undefined
    }
    const all = (name: string): string[] => valuesOf(fields, name)
    return {
      statusCode,
      reason: startLine.split(' ').slice(2).join(' '),
      fields,
      all,
      header: (name) => all(name)[0],
      body,
      text: body.toString('utf8'),
      trailers,
      complete,
      interim,
      framing: framing.type
    }
  }

  #take (bytes: number): Buffer {
    const taken = this.#received.subarray(0, bytes)
    this.#received = this.#received.subarray(bytes)
    return taken
  }

  async #more (wanted: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve
      timer = setTimeout(() => {
        reject(new Error(`waited too long for ${wanted}, unread: ${JSON.stringify(this.#received.toString('latin1').slice(0, 200))}`))
      }, PATIENCE_MS)
    })
    clearTimeout(timer)
  }

  #end (): void {
    this.#ended = true
    this.#wake()
  }
}

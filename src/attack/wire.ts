import { connect } from 'node:net'
import { framingOf, headEnd, readChunked, readHead, valuesOf, type Field } from './http-reader.ts'

/** One response as it stood on the wire. */
export interface WireResponse {
  readonly status: number
  readonly fields: readonly Field[]
  /** As Latin-1. */
  readonly body: string
}

/** The outcome of some bytes on a connection of their own. */
export interface Outcome {
  /** Whole final responses; 1xx ones are left out. */
  readonly responses: readonly WireResponse[]
  /** Everything that came, as Latin-1. */
  readonly received: string
  /** The other side closed the connection, without being asked to by an end of ours. */
  readonly closed: boolean
  /** The deadline passed first. */
  readonly late: boolean
}

export interface WireOptions {
  readonly port: number
  /** Longest silence of the other side, in milliseconds. */
  readonly deadlineMs: number
  /** End our side behind the bytes. */
  readonly cut?: boolean
  /** Reset the connection behind the bytes. */
  readonly leave?: boolean
}

/**
 * Sends bytes on a connection that no HTTP library touches, and reads until the other side closes it. A connection that
 * stays open behind a response is ended by us: the other side has processed all bytes when it closes.
 * A connection that breaks is one that closes; nothing is thrown.
 */
export async function sendRaw (bytes: string, { port, deadlineMs, cut = false, leave = false }: WireOptions): Promise<Outcome> {
  const method = bytes.slice(0, bytes.indexOf(' '))
  const socket = connect(port, '127.0.0.1')
  let received: Buffer = Buffer.alloc(0)
  let ended = cut || leave
  let late = false
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      late = true
      socket.destroy()
    }, deadlineMs)
    socket.on('error', () => {}).once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.on('data', (chunk: Buffer) => {
      timer.refresh()
      received = Buffer.concat([received, chunk])
      if (ended) return
      const last = readResponses(received, method, false).at(-1)
      if (last === undefined || valuesOf(last.fields, 'connection').some((value) => /\bclose\b/i.test(value))) return
      ended = true
      socket.end()
    })
    const latin = Buffer.from(bytes, 'latin1')
    if (cut) socket.end(latin)
    else socket.write(latin, () => { if (leave && !socket.writableEnded) socket.resetAndDestroy() })
  })
  return { responses: readResponses(received, method, true), received: received.toString('latin1'), closed: !ended && !late, late }
}

/** Reads the final responses at the front of some bytes. A response to HEAD has no body, nor has one with an unusual status line. */
function readResponses (bytes: Buffer, method: string, atEnd: boolean): WireResponse[] {
  const responses: WireResponse[] = []
  let rest = bytes
  for (let end = headEnd(rest); end !== -1; end = headEnd(rest)) {
    const { startLine, fields } = readHead(rest.toString('latin1', 0, end))
    const status = Number(startLine.split(' ')[1])
    const behind = rest.subarray(end)
    const body =
      status < 200 || status === 204 || status === 304 || method === 'HEAD'
        ? { body: Buffer.alloc(0), rest: behind }
        : readBody(fields, behind, atEnd)
    if (body === undefined) break
    if (!(status < 200) || status === 101) responses.push({ status, fields, body: body.body.toString('latin1') })
    rest = body.rest
  }
  return responses
}

function readBody (fields: readonly Field[], bytes: Buffer, atEnd: boolean): { readonly body: Buffer, readonly rest: Buffer } | undefined {
  const framing = framingOf(fields, 'close')
  switch (framing.type) {
    case 'length':
      return bytes.length < framing.bytes ? undefined : { body: bytes.subarray(0, framing.bytes), rest: bytes.subarray(framing.bytes) }
    case 'chunked':
      return readChunked(bytes)
    default:
      return atEnd ? { body: bytes, rest: Buffer.alloc(0) } : undefined
  }
}

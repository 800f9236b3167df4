/** A header as it stood on the wire: Latin-1 text, name in its own case. */
export type Field = readonly [name: string, value: string]

/** Start line and headers of a message. */
export interface Head {
  readonly startLine: string
  readonly fields: readonly Field[]
}

/** How the body of a message is delimited. */
export type Framing =
  | { readonly type: 'none' }
  | { readonly type: 'length', readonly bytes: number }
  | { readonly type: 'chunked' }
  | { readonly type: 'close' }

/** A body and the trailers behind it, taken from the front of some bytes. */
export interface BodyPart {
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** Bytes behind the message. */
  readonly rest: Buffer
}

/** Where a head ends, behind its empty line; -1 while it has not. */
export function headEnd (bytes: Buffer): number {
  const end = bytes.indexOf('\r\n\r\n')
  return end === -1 ? -1 : end + 4
}

/** Takes a head apart without judging it. */
export function readHead (text: string): Head {
  const [startLine = '', ...lines] = text.replace(/\r\n\r\n$/, '').split('\r\n')
  return { startLine, fields: lines.map(readField) }
}

/** Every value of a header, by its name in any case. */
export function valuesOf (fields: readonly Field[], name: string): string[] {
  return fields.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}

/** The framing that the headers announce (RFC 9112 section 6.3), for a message that may have a body. */
export function framingOf (fields: readonly Field[], otherwise: 'none' | 'close'): Framing {
  if (valuesOf(fields, 'transfer-encoding').some((value) => value.toLowerCase().endsWith('chunked'))) return { type: 'chunked' }
  const [length] = valuesOf(fields, 'content-length')
  return length === undefined ? { type: otherwise } : { type: 'length', bytes: Number(length) }
}

/**
 * Takes a whole chunked body from the front of some bytes (RFC 9112 section 7.1).
 *
 * @returns undefined while it is not whole
 */
export function readChunked (bytes: Buffer): BodyPart | undefined {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error(`not a chunk: ${bytes.toString('latin1', at, lineEnd)}`)
    at = lineEnd + 2
    if (size === 0) return readTrailers(bytes, at, Buffer.concat(chunks))
    if (bytes.length < at + size + 2) return undefined
    chunks.push(bytes.subarray(at, at + size))
    at += size + 2
  }
}

function readTrailers (bytes: Buffer, start: number, body: Buffer): BodyPart | undefined {
  const trailers: Field[] = []
  let at = start
  for (;;) {
    const end = bytes.indexOf('\r\n', at)
    if (end === -1) return undefined
    const line = bytes.toString('latin1', at, end)
    at = end + 2
    if (line === '') return { body, trailers, rest: bytes.subarray(at) }
    trailers.push(readField(line))
  }
}

function readField (line: string): Field {
  const colon = line.indexOf(':')
  return colon === -1 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()]
}

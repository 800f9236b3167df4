import { malformed } from './malformed.ts'

/** The head of a response: status line and fields, and what they say of the body and of the connection. */
export interface ResponseHead {
  readonly statusCode: number
  /** Latin-1, as it came; the beginning of a long one. */
  readonly reason: string
  /** Flat list of names and values, as they came. */
  readonly rawHeaders: string[]
  /** Content-Length; undefined where there is none. */
  readonly length: number | undefined
  readonly chunked: boolean
  /** The connection may serve a further request. */
  readonly keepAlive: boolean
  /** `Keep-Alive: timeout`, in seconds. */
  readonly keepAliveSeconds: number | undefined
  /** There are an `Upgrade`, and a `Connection` that names it. */
  readonly upgrade: boolean
}

/** What the fields say about where the body ends. */
interface Framing {
  length: number | undefined
  chunked: boolean
  connection: string
  keepAlive: string
  upgrade: boolean
}

const CR = 0x0d
const ZERO = 0x30
const SPACE = 0x20
const TAB = 0x09

// Control characters but HTAB, CR and LF, which are checked where they stand (RFC 9110 section 5.5).
// eslint-disable-next-line no-control-regex -- they are what it is about
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/
// Longer than any reason that is passed on.
const LONGEST_REASON = 1024
const DIGITS = /^[0-9]{1,16}$/

/** Which characters a name may have: `tchar` of RFC 9110 section 5.6.2. */
const TOKEN: readonly boolean[] = Array.from({ length: 256 }, (_, code) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(code)))

/**
 * Reads the head of a response by the one form that RFC 9112 gives it; whatever else a reader might let pass is an error.
 *
 * @param text Latin-1, from the status line to the end of the last line in front of the empty one
 * @throws ProxyError
 */
export function readHead (text: string): ResponseHead {
  if (hasControls(text)) throw malformed('control characters in the head')
  const end = lineEnd(text, 0)
  const minor = text.charCodeAt(7) - ZERO
  const statusCode = text.startsWith('HTTP/1.') && (minor === 0 || minor === 1) && text.charCodeAt(8) === SPACE ? threeDigits(text, 9) : 0
  // Some servers leave out the blank in front of an empty reason.
  if (statusCode < 100 || (end !== 12 && text.charCodeAt(12) !== SPACE)) throw malformed('no status line of HTTP/1.1')
  const framing: Framing = { length: undefined, chunked: false, connection: '', keepAlive: '', upgrade: false }
  const rawHeaders = readFields(text, end + 2, framing)
  if (framing.chunked && framing.length !== undefined) throw malformed('Content-Length and Transfer-Encoding')
  const { length, chunked, connection } = framing
  return {
    statusCode,
    reason: text.slice(13, Math.min(end, 13 + LONGEST_REASON)),
    rawHeaders,
    length,
    chunked,
    // RFC 9112 sections 6.1 and 9.3: HTTP/1.0 knows no chunks, so nobody can tell where such a body ends.
    keepAlive:
      connection === '' ? minor === 1 : !lists(connection, 'close') && (minor === 1 || (lists(connection, 'keep-alive') && !chunked)),
    keepAliveSeconds: framing.keepAlive === '' ? undefined : secondsOf(framing.keepAlive),
    upgrade: framing.upgrade && lists(connection, 'upgrade')
  }
}

/** Whether a text of the head or of trailers has control characters other than HTAB, CR and LF, which are checked line by line. */
export function hasControls (text: string): boolean {
  return CONTROL.test(text)
}

/**
 * Reads field lines: `name: value`, each with its CR LF, none folded.
 *
 * @param framing takes what they say of the body
 * @throws ProxyError
 */
function readFields (text: string, start: number, framing: Framing): string[] {
  const fields: string[] = []
  for (let at = start; at < text.length;) {
    const end = lineEnd(text, at)
    let colon = at
    while (TOKEN[text.charCodeAt(colon)] === true) colon++
    if (colon === at || text[colon] !== ':') throw malformed('a header line that is no "name: value"')
    const name = text.slice(at, colon)
    const value = trimmed(text, colon + 1, end)
    fields.push(name, value)
    note(framing, name, value)
    at = end + 2
  }
  return fields
}

/** Reads trailers: field lines, none of which may frame a body. */
export function readTrailers (text: string): string[] {
  if (hasControls(text)) throw malformed('control characters in trailers')
  const framing: Framing = { length: undefined, chunked: false, connection: '', keepAlive: '', upgrade: false }
  const trailers = readFields(text, 0, framing)
  // RFC 9110 section 6.5.1; a reader that merges them into the headers would frame the body anew.
  if (framing.length !== undefined || framing.chunked) throw malformed('trailers that frame a body')
  return trailers
}

/** Where a line ends: at a CR LF, with neither of them before. */
function lineEnd (text: string, start: number): number {
  const end = text.indexOf('\n', start) - 1
  if (end < start || text.charCodeAt(end) !== CR || text.indexOf('\r', start) !== end) throw malformed('a bare CR or LF in the head')
  return end
}

function threeDigits (text: string, at: number): number {
  let number = 0
  for (let index = at; index < at + 3; index++) {
    const digit = text.charCodeAt(index) - ZERO
    if (!(digit >= 0 && digit <= 9)) return 0
    number = number * 10 + digit
  }
  return number
}

function trimmed (text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank (code: number): boolean {
  return code === SPACE || code === TAB
}

function note (framing: Framing, name: string, value: string): void {
  switch (name.length) {
    case 7:
      if (name.toLowerCase() === 'upgrade') framing.upgrade = true
      break
    case 10: {
      const lower = name.toLowerCase()
      if (lower === 'connection') framing.connection = joined(framing.connection, value)
      else if (lower === 'keep-alive') framing.keepAlive = joined(framing.keepAlive, value)
      break
    }
    case 14:
      if (name.toLowerCase() === 'content-length') framing.length = lengthOf(value, framing.length)
      break
    case 17:
      if (name.toLowerCase() === 'transfer-encoding') {
        // Any other coding would stay in the body without its label, and where it says `chunked` twice, some readers decode
        // twice.
        if (framing.chunked || value.toLowerCase() !== 'chunked') throw malformed('a Transfer-Encoding other than one "chunked"')
        framing.chunked = true
      }
  }
}

// RFC 9112 section 6.3: a list of equal values could be taken for one; nobody has to send it.
function lengthOf (value: string, before: number | undefined): number {
  const length = Number(value)
  if (before !== undefined || !DIGITS.test(value) || length > Number.MAX_SAFE_INTEGER) {
    throw malformed('a Content-Length that is repeated or no number')
  }
  return length
}

function joined (before: string, value: string): string {
  return before === '' ? value : `${before},${value}`
}

/** Whether a `Connection` names an option. */
function lists (connection: string, option: string): boolean {
  if (connection.length === option.length) return connection.toLowerCase() === option
  return connection.includes(',') && connection.toLowerCase().split(',').some((part) => part.trim() === option)
}

function secondsOf (keepAlive: string): number | undefined {
  const [, seconds] = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(keepAlive) ?? []
  return seconds === undefined ? undefined : Number(seconds)
}

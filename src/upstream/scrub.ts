import type { Duplex, Transform } from 'node:stream'
import type { Injection } from '../auth/injection.ts'
import { ProxyError } from '../errors.ts'
import { Mask, maskText, patternsOf, type Pattern } from '../http/mask.ts'
import type { Spelled } from '../http/spelled.ts'
import { spellingsOf, textsOf } from '../http/spellings.ts'
import type { Secret } from '../secret.ts'
import { contentCodingOf, createDecoder, decodedHeaders, type ContentCoding } from './decoder.ts'
import type { ResponseHead } from './response-head.ts'
import type { ResponseHandler, Sender, Transfer } from './sender.ts'

/** Masks what the responses of one route echo of its credentials. */
export class Scrubber {
  // Keyed by the secret itself: the spellings of a token are collected along with it.
  readonly #known = new WeakMap<Secret, Known>()

  /**
   * Sends a request so that everything that comes back of it is masked: headers, trailers, interim responses, body.
   *
   * @param sent the injections of the request, and of an earlier attempt at it
   * @param onMasked called with the number of places, each time that some were masked
   */
  over (sender: Sender, sent: readonly Injection[], onMasked: (count: number) => void): Sender {
    const known = sent.map((injection) => this.#knownOf(injection))
    const sought = { patterns: known.flatMap(({ patterns }) => patterns), texts: known.flatMap(({ texts }) => texts) }
    return {
      dispatch: (request, handler) => {
        const response = new ScrubbedResponse(handler, request.method, sought, onMasked)
        response.upstream = sender.dispatch(request, response)
        return response
      }
    }
  }

  #knownOf ({ prefix, value }: Injection): Known {
    const known = this.#known.get(value)
    if (known !== undefined) return known
    const values = [value.reveal(), ...(prefix === 'Basic ' ? basicParts(value.reveal()) : [])]
    const made = { patterns: patternsOf(values.flatMap(spellingsOf)), texts: values.flatMap(textsOf) }
    this.#known.set(value, made)
    return made
  }
}

/** What is looked for: exact bytes, and texts in every mixture of spellings. */
interface Known {
  readonly patterns: readonly Pattern[]
  readonly texts: readonly Spelled[]
}

/** `user:password` and the password alone, which an upstream may show decoded (RFC 7617 section 2). */
function basicParts (encoded: string): string[] {
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  return [pair, pair.slice(pair.indexOf(':') + 1)]
}

/**
 * Stands between a connection and the handler of a response, and hands on a response without secrets. A content coding that
 * cannot be decoded is an error, since nothing unseen may pass (docs/decisions/0009-scrub.md).
 */
class ScrubbedResponse implements ResponseHandler, Transfer {
  /** The transfer of the response that is masked here. */
  upstream: Transfer | undefined
  readonly #handler: ResponseHandler
  readonly #method: string
  readonly #sought: Known
  readonly #mask: Mask
  readonly #onMasked: (count: number) => void
  #coding: ContentCoding | undefined
  #decoder: Transform | undefined
  #trailers: string[] = []
  /** Masked places in the body that were told. */
  #told = 0
  #whole = false
  #over = false

  constructor (handler: ResponseHandler, method: string, sought: Known, onMasked: (count: number) => void) {
    this.#handler = handler
    this.#method = method
    this.#sought = sought
    this.#mask = new Mask(sought.patterns, sought.texts)
    this.#onMasked = onMasked
  }

  // Once nobody reads the decoder, it stops taking from the upstream by itself.
  pause (): void {
    if (this.#decoder === undefined) this.upstream?.pause()
    else this.#decoder.pause()
  }

  resume (): void {
    this.#decoder?.resume()
    if (this.#decoder?.writableNeedDrain !== true) this.upstream?.resume()
  }

  abort (): void {
    this.#over = true
    this.#decoder?.destroy()
    this.upstream?.abort()
  }

  onInterim (head: ResponseHead): void {
    this.#handler.onInterim(this.#masked(head))
  }

  onHead (head: ResponseHead): void {
    const masked = this.#masked(head)
    const { statusCode, rawHeaders } = masked
    const coding = statusCode === 304 ? undefined : contentCodingOf(rawHeaders)
    if (this.#method !== 'HEAD' && (coding === 'unknown' || (coding !== undefined && statusCode === 206))) {
      this.#fail(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_response_content_coding', message: OPAQUE }))
      return
    }
    this.#coding = coding === 'unknown' ? undefined : coding
    this.#handler.onHead(statusCode === 304 ? masked : { ...masked, rawHeaders: decodedHeaders(rawHeaders, this.#coding) })
  }

  onBody (chunk: Buffer): void {
    if (this.#over) return
    if (this.#coding === undefined) {
      this.#pass(this.#mask.push(chunk))
      return
    }
    const decoder = this.#decoder ??= this.#decode(createDecoder(this.#coding, chunk))
    if (decoder.write(chunk)) return
    this.upstream?.pause()
    decoder.once('drain', () => { this.upstream?.resume() })
  }

  onEnd (trailers: string[]): void {
    this.#whole = true
    this.#trailers = trailers
    if (this.#decoder === undefined) this.#end()
    else this.#decoder.end()
  }

  onSwitch (head: ResponseHead, socket: Duplex): void {
    this.#handler.onSwitch(this.#masked(head), socket)
  }

  onError (error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#decoder?.destroy()
    this.#handler.onError(error)
  }

  #decode (decoder: Transform): Transform {
    return decoder
      .on('data', (chunk: Buffer) => { this.#pass(this.#mask.push(chunk)) })
      .on('end', () => { this.#end() })
      .on('error', (error) => { this.#fail(error) })
  }

  #pass (bytes: Buffer): void {
    this.#tell(this.#mask.count - this.#told)
    this.#told = this.#mask.count
    if (bytes.length > 0) this.#handler.onBody(bytes)
  }

  #end (): void {
    if (this.#over) return
    this.#pass(this.#mask.end())
    this.#over = true
    this.#handler.onEnd(this.#maskAll(this.#trailers))
    // Bytes follow the compressed data: nobody knows what they are.
    if (!this.#whole) this.upstream?.abort()
  }

  #fail (error: Error): void {
    this.onError(error)
    this.upstream?.abort()
  }

  #masked (head: ResponseHead): ResponseHead {
    const [reason = '', ...rawHeaders] = this.#maskAll([head.reason, ...head.rawHeaders])
    return { ...head, reason, rawHeaders }
  }

  #maskAll (texts: string[]): string[] {
    if (texts.length === 0) return texts
    // One search through all of them, which usually finds nothing.
    const mask = (text: string): ReturnType<typeof maskText> => maskText(text, this.#sought.patterns, this.#sought.texts)
    if (mask(texts.join('\n')).count === 0) return texts
    const masked = texts.map(mask)
    this.#tell(masked.reduce((sum, { count }) => sum + count, 0))
    return masked.map(({ text }) => text)
  }

  #tell (count: number): void {
    if (count > 0) this.#onMasked(count)
  }
}

const OPAQUE =
  'The upstream compressed its response although it was asked not to, and scrub of this route cannot look into it; set scrub to false if the response may pass unseen.'

import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex, Transform } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Injection } from '../auth/injection.ts'
import { ProxyError } from '../errors.ts'
import { Mask, maskText, patternsOf, type Pattern } from '../http/mask.ts'
import type { Spelled } from '../http/spelled.ts'
import { spellingsOf, textsOf } from '../http/spellings.ts'
import type { Secret } from '../secret.ts'
import { contentCodingOf, createDecoder, decodedHeaders, type ContentCoding } from './decoder.ts'
import type { Sender } from './exchange.ts'
import { rawText } from './raw-text.ts'

/** Masks what the answers of one route echo of its credentials. */
export class Scrubber {
  // By the secret itself, so that the spellings of a token are gone when it is.
  readonly #known = new WeakMap<Secret, Known>()

  /**
   * Sends a request so that everything that comes back of it is masked: headers, trailers, interim answers, body.
   *
   * @param sent what the request carries, and what an earlier attempt at it carried
   * @param onMasked called with the number of places, each time that some were masked
   */
  over (sender: Sender, sent: readonly Injection[], onMasked: (count: number) => void): Sender {
    const known = sent.map((injection) => this.#knownOf(injection))
    const sought = { patterns: known.flatMap(({ patterns }) => patterns), texts: known.flatMap(({ texts }) => texts) }
    return { dispatch: (options, handler) => sender.dispatch(options, new ScrubbedAnswer(handler, options.method, sought, onMasked)) }
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
 * Stands between undici and the handler of an answer, which sees an answer that has no secret in it and needs to know
 * nothing of this. A coding that cannot be looked into is an error, since nothing unseen may pass (docs/decisions/0009-scrub.md).
 */
class ScrubbedAnswer implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #method: string
  readonly #sought: Known
  readonly #mask: Mask
  readonly #onMasked: (count: number) => void
  #controller: ScrubbedController | undefined
  #coding: ContentCoding | undefined
  #decoder: Transform | undefined
  /** Masked places in the body that were told. */
  #told = 0
  #whole = false
  #over = false

  constructor (handler: Dispatcher.DispatchHandler, method: string, sought: Known, onMasked: (count: number) => void) {
    this.#handler = handler
    this.#method = method
    this.#sought = sought
    this.#mask = new Mask(sought.patterns, sought.texts)
    this.#onMasked = onMasked
  }

  onRequestStart (controller: Dispatcher.DispatchController, context: unknown): void {
    this.#controller = new ScrubbedController(controller)
    this.#handler.onRequestStart?.(this.#controller, context)
  }

  onRequestUpgrade (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    this.#handler.onRequestUpgrade?.(this.#with(controller, this.#maskAll(controller.rawHeaders)), statusCode, headers, socket)
  }

  /** The parsed headers pass as they are: nothing but the framing is read of them. */
  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string): void {
    const raw = this.#maskAll(controller.rawHeaders)
    const [reason] = this.#maskAll(statusMessage === undefined ? [] : [statusMessage])
    const final = statusCode >= 200 && statusCode !== 304
    const coding = final ? contentCodingOf(raw) : undefined
    if (this.#method !== 'HEAD' && (coding === 'unknown' || (coding !== undefined && statusCode === 206))) {
      this.#fail(controller, new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_response_content_coding', message: OPAQUE }))
      return
    }
    this.#coding = coding === 'unknown' ? undefined : coding
    this.#handler.onResponseStart?.(this.#with(controller, final ? decodedHeaders(raw, this.#coding) : raw), statusCode, headers, reason)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    if (this.#coding === undefined) {
      this.#pass(controller, this.#mask.push(chunk))
      return
    }
    const decoder = this.#decoder ??= this.#decode(controller, createDecoder(this.#coding, chunk))
    if (decoder.write(chunk)) return
    controller.pause()
    decoder.once('drain', () => { controller.resume() })
  }

  onResponseEnd (controller: Dispatcher.DispatchController): void {
    this.#whole = true
    if (this.#decoder === undefined) this.#end(controller)
    else this.#decoder.end()
  }

  onResponseError (controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#decoder?.destroy()
    this.#handler.onResponseError?.(this.#with(controller), error)
  }

  #decode (controller: Dispatcher.DispatchController, decoder: Transform): Transform {
    this.#with(controller).decoder = decoder
    return decoder
      .on('data', (chunk: Buffer) => { this.#pass(controller, this.#mask.push(chunk)) })
      .on('end', () => { this.#end(controller) })
      .on('error', (error) => { this.#fail(controller, error) })
  }

  #pass (controller: Dispatcher.DispatchController, bytes: Buffer): void {
    this.#tell(this.#mask.count - this.#told)
    this.#told = this.#mask.count
    if (bytes.length > 0) this.#handler.onResponseData?.(this.#with(controller), bytes)
  }

  #end (controller: Dispatcher.DispatchController): void {
    if (this.#over) return
    this.#pass(controller, this.#mask.end())
    this.#over = true
    const own = this.#with(controller)
    own.rawTrailers = this.#maskAll(controller.rawTrailers)
    this.#handler.onResponseEnd?.(own, {})
    // Bytes behind the end of what was compressed: nobody knows what they are.
    if (!this.#whole) controller.abort(new Error('the upstream sent bytes behind its compressed body'))
  }

  #fail (controller: Dispatcher.DispatchController, error: Error): void {
    this.onResponseError(controller, error)
    controller.abort(new Error('the upstream sent a body that cannot be decoded'))
  }

  #with (controller: Dispatcher.DispatchController, rawHeaders?: string[]): ScrubbedController {
    const own = this.#controller ??= new ScrubbedController(controller)
    if (rawHeaders !== undefined) own.rawHeaders = rawHeaders
    return own
  }

  #maskAll (raw: Dispatcher.DispatchController['rawHeaders']): string[] {
    const texts = rawText(raw)
    if (texts.length === 0) return texts
    // One look for the usual case of nothing.
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

const OPAQUE = 'The upstream compressed its answer although it was asked not to, and scrub of this route cannot look into it; set scrub to false if the answer may pass unseen.'

/** The handler's view of the exchange: masked headers, and a body that is paused behind the decoder. */
class ScrubbedController implements Dispatcher.DispatchController {
  readonly #upstream: Dispatcher.DispatchController
  decoder: Transform | undefined
  rawHeaders: string[] = []
  rawTrailers: string[] = []

  constructor (upstream: Dispatcher.DispatchController) {
    this.#upstream = upstream
  }

  get aborted (): boolean {
    return this.#upstream.aborted
  }

  get paused (): boolean {
    return this.decoder?.isPaused() ?? this.#upstream.paused
  }

  get reason (): Error | null {
    return this.#upstream.reason
  }

  abort (reason: Error): void {
    this.decoder?.destroy()
    this.#upstream.abort(reason)
  }

  // Once nobody reads the decoder, it stops taking from the upstream by itself.
  pause (): void {
    if (this.decoder === undefined) this.#upstream.pause()
    else this.decoder.pause()
  }

  resume (): void {
    this.decoder?.resume()
    if (this.decoder?.writableNeedDrain !== true) this.#upstream.resume()
  }
}

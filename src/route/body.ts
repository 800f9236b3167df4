import type { Injection } from '../auth/injection.ts'
import { ProxyError } from '../errors.ts'
import { isForm, isJson, isLikeAscii, parseMediaType, type MediaType } from '../http/media-type.ts'
import { valuesOf, type RawHeaders } from '../http/raw-headers.ts'
import { spliceForm, spliceJson, type Field } from '../http/splice.ts'
import type { Route } from './route.ts'

/** The largest body that a field is put into, in bytes. */
export const LARGEST_SPLICED_BODY = 1_048_576

/** A body with the injected fields in it. */
export interface SplicedBody {
  readonly body: Buffer
  /** For a body that had no content type of its own, or was empty. */
  readonly contentType?: string
}

/** Whether a request's body takes fields: Airnode puts `in: query` values of a POST there (`packages/airnode-adapter`). */
export function takesBodyFields (route: Route, method: string): boolean {
  return route.writesBody && method === 'POST'
}

/**
 * Refuses a body that is announced to be larger than its route lets it be.
 *
 * @throws ProxyError 413 `CS_BODY_TOO_LARGE`
 */
export function judgeLength (announced: number, maxBodyBytes = Infinity): void {
  if (announced > maxBodyBytes) throw new ProxyError('CS_BODY_TOO_LARGE', { close: true })
}

/**
 * Refuses, before any of it is read, a body that cannot take fields.
 *
 * @throws ProxyError 415 `CS_BODY_UNSUPPORTED`
 */
export function checkSpliceable (headers: RawHeaders, announcedLength: number | undefined): void {
  const encoding = valuesOf(headers, 'content-encoding')
  if (encoding.some((value) => value.trim().toLowerCase() !== 'identity')) throw unsupported(415, 'is compressed; send it as it is')
  if (announcedLength !== undefined && announcedLength > LARGEST_SPLICED_BODY) throw tooLarge()
  const type = mediaTypeOf(headers)
  if (type === undefined || announcedLength === 0) return
  if (!isJson(type) && !isForm(type)) {
    throw unsupported(415, 'is neither JSON nor a form; send application/json or application/x-www-form-urlencoded')
  }
  if (type.charset !== undefined && !['utf-8', 'utf8', 'us-ascii'].includes(type.charset) && isJson(type)) {
    throw unsupported(415, 'is not UTF-8; send JSON in UTF-8')
  }
  // In EBCDIC or UTF-16 a field of our name would not look like one, and the upstream would read it.
  if (isForm(type) && !isLikeAscii(type)) throw unsupported(415, 'is a form whose letters are not those of ASCII; send it in UTF-8')
}

/** The error for a body that is too large for fields to be put into it. */
export function tooLarge (): ProxyError {
  return unsupported(415, 'is larger than 1 MiB; send less, or set "postQuery": "url" to have the credential in the URL', true)
}

/**
 * Puts the injections that belong into a body into it; no other byte changes.
 *
 * @throws ProxyError 415 or 422 `CS_BODY_UNSUPPORTED`
 */
export function spliceBody (body: Buffer, headers: RawHeaders, injections: readonly Injection[]): SplicedBody {
  const fields = bodyFields(injections)
  const type = mediaTypeOf(headers)
  if (body.length === 0) return emptyBody(type, fields)
  if (type === undefined) {
    throw unsupported(415, 'has no content type, or more than one; send application/json or application/x-www-form-urlencoded')
  }
  // Latin-1 keeps every byte of a form, whatever its charset.
  if (isForm(type)) return { body: Buffer.from(spliceForm(body.toString('latin1'), fields), 'latin1') }
  const text = decodeUtf8(body)
  const spliced = text === undefined ? undefined : spliceJson(text, fields)
  if (spliced === undefined) throw unsupported(422, 'is no JSON object; send one')
  return { body: Buffer.from(spliced, 'utf8') }
}

/** The fields of a POST's body among the injections. */
function bodyFields (injections: readonly Injection[]): Field[] {
  return injections.flatMap(({ in: place, postQuery, name, value }) =>
    place === 'query' && postQuery === undefined ? [[name, value.reveal()] as const] : []
  )
}

// Airnode sends an object; a client that announces a form gets one (Airnode does the same with a header parameter).
function emptyBody (type: MediaType | undefined, fields: readonly Field[]): SplicedBody {
  if (type !== undefined && isForm(type)) return { body: Buffer.from(spliceForm('', fields), 'latin1') }
  const body = Buffer.from(spliceJson('{}', fields) ?? '', 'utf8')
  return type !== undefined && isJson(type) ? { body } : { body, contentType: 'application/json' }
}

function mediaTypeOf (headers: RawHeaders): MediaType | undefined {
  const [value, second] = valuesOf(headers, 'content-type')
  return value === undefined || second !== undefined ? undefined : parseMediaType(value)
}

function decodeUtf8 (body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return undefined
  }
}

function unsupported (status: 415 | 422, what: string, close = false): ProxyError {
  return new ProxyError('CS_BODY_UNSUPPORTED', {
    status,
    message: `A credential of this route goes into the request body, and this body ${what}.`,
    close
  })
}

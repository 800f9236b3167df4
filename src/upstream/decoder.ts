import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { valuesOf, type RawHeaders } from '../http/raw-headers.ts'

/** A content coding (RFC 9110 section 8.4.1) that Node decodes; zstd from 22.15 on. */
export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd'

/** The coding of a response's body; undefined where it has none, `unknown` where we cannot decode it, or where there is more than one. */
export function contentCodingOf (headers: RawHeaders): ContentCoding | 'unknown' | undefined {
  const named = valuesOf(headers, 'content-encoding')
    .flatMap((value) => value.toLowerCase().split(','))
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  const [coding, second] = named
  if (coding === undefined) return undefined
  return second === undefined ? codingNamed(coding) : 'unknown'
}

function codingNamed (name: string): ContentCoding | 'unknown' {
  switch (name) {
    case 'gzip': case 'x-gzip': return 'gzip'
    case 'deflate': case 'br': return name
    case 'zstd': return zstdOf() === undefined ? 'unknown' : 'zstd'
    default: return 'unknown'
  }
}

/**
 * Makes a stream that decodes a body. Each chunk comes out as soon as possible, and a decompression bomb only as fast as it is
 * read.
 *
 * @param first the first bytes: some servers send `deflate` without the zlib header that RFC 9110 section 8.4.1.2 asks for
 */
export function createDecoder (coding: ContentCoding, first: Buffer): Transform {
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip({ flush: Z_SYNC_FLUSH })
    case 'deflate':
      return ((first[0] ?? 0) & 0x0f) === 8 ? zlib.createInflate({ flush: Z_SYNC_FLUSH }) : zlib.createInflateRaw({ flush: Z_SYNC_FLUSH })
    case 'br':
      return zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH })
    case 'zstd': {
      const create = zstdOf()
      if (create === undefined) throw new TypeError('a body in zstd was let through to where nothing decodes it')
      return create()
    }
    default:
      return coding satisfies never
  }
}

// Headers that describe the exact bytes of the body, which may differ from those that the client gets.
const DIGESTS = new Set(['content-md5', 'digest', 'content-digest', 'repr-digest'])

/**
 * The headers for a body that was looked into: without digests, and where it was decoded without the coding and the length of the
 * coded body, and with a weak validator (RFC 9110 section 8.8.1).
 */
export function decodedHeaders (headers: RawHeaders, coding: ContentCoding | undefined): string[] {
  const kept: string[] = []
  // By index, not by `pairs`: every response of a route that masks comes here.
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    const lower = name.toLowerCase()
    if (DIGESTS.has(lower)) continue
    if (coding !== undefined && (lower === 'content-encoding' || lower === 'content-length')) continue
    kept.push(name, coding !== undefined && lower === 'etag' && value.startsWith('"') ? `W/${value}` : value)
  }
  return kept
}

// Not in Node 20, and so not in its types.
function zstdOf (): (() => Transform) | undefined {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress')
  return typeof create === 'function' ? create as () => Transform : undefined
}

/** The parts of a `Content-Type` that are used here (RFC 9110 section 8.3). */
export interface MediaType {
  /** `application/json`, in lower case. */
  readonly type: string
  /** In lower case; absent where none is named; all of them, with commas, where readers may take another one than the first. */
  readonly charset?: string
}

/** Reads a `Content-Type` value; undefined where it is none. */
export function parseMediaType (value: string): MediaType | undefined {
  const match = /^\s*([!#$%&'*+\-.^_`|~\w]+\/[!#$%&'*+\-.^_`|~\w]+)\s*(;.*)?$/.exec(value)
  if (match === null) return undefined
  const [, type = '', parameters = ''] = match
  const charsets = [...parameters.matchAll(/;\s*charset\s*=\s*"?([^\s";]+)"?/gi)].map(([, charset = '']) => charset.toLowerCase())
  return { type: type.toLowerCase(), ...(charsets.length > 0 && { charset: charsets.join() }) }
}

/** Whether a body of that charset, or of none that is named, has ASCII bytes for ASCII characters. */
export function isLikeAscii ({ charset }: MediaType): boolean {
  return charset === undefined || /^(?:utf-?8|us-ascii|iso-8859-\d+|windows-125\d)$/.test(charset)
}

/** Whether a media type is JSON: `application/json` or any with the suffix `+json` (RFC 6839 section 3.1). */
export function isJson ({ type }: MediaType): boolean {
  return type === 'application/json' || type.endsWith('+json')
}

/** Whether a media type is an HTML form's default encoding. */
export function isForm ({ type }: MediaType): boolean {
  return type === 'application/x-www-form-urlencoded'
}

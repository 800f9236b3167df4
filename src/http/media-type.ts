/** A `Content-Type`, as far as anybody here cares (RFC 9110 section 8.3). */
export interface MediaType {
  /** `application/json`, in lower case. */
  readonly type: string
  /** In lower case; absent where none is named. */
  readonly charset?: string
}

/** Reads a `Content-Type` value; undefined where it is none. */
export function parseMediaType (value: string): MediaType | undefined {
  const match = /^\s*([!#$%&'*+\-.^_`|~\w]+\/[!#$%&'*+\-.^_`|~\w]+)\s*(;.*)?$/.exec(value)
  if (match === null) return undefined
  const [, type = '', parameters = ''] = match
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)"?/i.exec(parameters)?.[1]
  return { type: type.toLowerCase(), ...(charset !== undefined && { charset: charset.toLowerCase() }) }
}

/** Whether a media type is JSON: `application/json` or any with the suffix `+json` (RFC 6839 section 3.1). */
export function isJson ({ type }: MediaType): boolean {
  return type === 'application/json' || type.endsWith('+json')
}

/** Whether a media type is an HTML form's default encoding. */
export function isForm ({ type }: MediaType): boolean {
  return type === 'application/x-www-form-urlencoded'
}

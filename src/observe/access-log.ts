import { printable } from '../http/printable.ts'

/** The sentence of a request's line. */
export const REQUEST_LINE = 'request'

/** Members of a JSON object, each with a comma in front; nothing in them acts on a terminal or ends the line. */
export type Members = string

/** What a line tells of a request that has reached the application. */
export interface EndedRequest {
  readonly message: { readonly method?: string | undefined }
  /** The raw path, without its query, which is a place for secrets. */
  readonly path: string
  /** The code of the error response, where it got one. */
  readonly code: string | undefined
}

/**
 * What a line tells of a request that a listener has refused by itself. Nothing that its client has written, since it could not
 * be read.
 */
export interface RefusedRequest {
  readonly rejection: { readonly statusCode: number, readonly code: string }
  /** Undefined where the parser did not get so far. */
  readonly method?: string
  /** The address that it came from; undefined for a unix socket. */
  readonly client: string | undefined
  /** How many bytes of the request had arrived. */
  readonly bytes: number
  /** Milliseconds since its first byte. */
  readonly durationMs: number
}

/** Enough to tell requests apart; a client must not be able to write long log lines. */
const LOGGED_PATH = 512

/** The member that names a route: made once, not for each line. */
export function routeMember (label: string): Members {
  return `,"route":${jsonText(label)}`
}

/**
 * The members of the line of a request that has ended.
 *
 * @param route empty where no route took it
 * @param status 0 where it got no response
 * @param complete whether all of the response went out
 */
export function endedMembers (
  { message: { method }, path, code }: EndedRequest,
  route: Members,
  status: number,
  complete: boolean,
  durationMs: number
): Members {
  return (
    `${route}${methodMember(method)},"path":${jsonText(path.length > LOGGED_PATH ? path.slice(0, LOGGED_PATH) : path)},"status":${status === 0 ? '"aborted"' : status}` +
    `${code === undefined ? '' : `,"code":${jsonText(code)}`}${complete ? '' : ',"aborted":true'},"ms":${rounded(durationMs)}`
  )
}

/** The members of the line of a request that a listener has refused by itself. */
export function refusedMembers ({ rejection: { statusCode, code }, method, client, bytes, durationMs }: RefusedRequest): Members {
  return `${methodMember(method)},"status":${statusCode},"code":${jsonText(code)}${client === undefined ? '' : `,"client":${jsonText(client)}`},"bytes":${bytes},"ms":${rounded(durationMs)}`
}

function methodMember (method: string | undefined): Members {
  return method === undefined ? '' : `,"method":${jsonText(method)}`
}

// ASCII that is printable and needs no escape in JSON: all that usual paths are made of.
const PLAIN = /^[ !#-[\]-~]*$/

function jsonText (text: string): string {
  return PLAIN.test(text) ? `"${text}"` : printable(JSON.stringify(text))
}

function rounded (ms: number): number {
  return Math.round(ms * 10) / 10
}

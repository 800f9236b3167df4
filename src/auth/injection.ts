import type { Secret } from '../secret.ts'

/** One field that is written into a request; whatever the client sent under that name is removed first. */
export interface Injection {
  readonly in: 'header' | 'query' | 'cookie'
  readonly name: string
  /** Text in front of the secret (`Bearer `), kept apart so that the secret stays wrapped until it is written. */
  readonly prefix: string
  readonly value: Secret
  /** For `in: query`: `url` keeps it in the URL of a POST too; else a POST has it in its body, as Airnode does it. */
  readonly postQuery?: 'url'
}

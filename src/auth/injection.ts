import type { Secret } from '../secret.ts'

/** One field that is written into a request; whatever the client sent under that name is removed first. */
export interface Injection {
  readonly in: 'header' | 'query' | 'cookie'
  readonly name: string
  /** Text in front of the secret (`Bearer `), kept apart so that the secret stays wrapped until it is written. */
  readonly prefix: string
  readonly value: Secret
}

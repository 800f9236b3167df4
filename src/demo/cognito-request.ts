/** A request's parameters after parsing; nothing in them is trusted. */
export type Parameters = Readonly<Record<string, unknown>>

/** The facts of a call for the emulator's record. Never holds a password or a token. */
export interface Note {
  username?: string
  clientId?: string
  /** The device that the request named. */
  deviceKey?: string
  /** The `jti` of an access token that was issued. */
  tokenId?: string
}

/** An error as the service words it; it goes out with status 400. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: string

  constructor (code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The text that a wrong password, a wrong signature, an unknown secret block and an unknown user have in common. */
export function wrongPassword (): ServiceError {
  return new ServiceError('NotAuthorizedException', 'Incorrect username or password.')
}

/** A parameter that is an object. */
export function objectOf (parameters: Parameters, name: string): Parameters {
  const value = parameters[name]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw missing(name)
  return value as Parameters
}

/** A parameter that is a string with something in it. */
export function textOf (parameters: Parameters, name: string): string {
  const value = parameters[name]
  if (typeof value !== 'string' || value === '') throw missing(name)
  return value
}

function missing (name: string): ServiceError {
  return new ServiceError('InvalidParameterException', `Missing required parameter ${name}`)
}

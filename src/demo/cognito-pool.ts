import { randomUUID } from 'node:crypto'
import { ServiceError, textOf, type Note, type Parameters } from './cognito-request.ts'
import { createVerifier, equalBytes, secretHash, type Verifier } from './srp-server.ts'

export interface EmulatorPool {
  /** `REGION_Name`. */
  readonly id: string
  readonly clients: readonly EmulatorClient[]
  readonly users: readonly EmulatorUser[]
  /** Every login makes a device, as in a pool that always remembers them. */
  readonly deviceTracking?: boolean
}

export interface EmulatorClient {
  /** Unique among all pools of the emulator. */
  readonly id: string
  readonly secret?: string
  /** Refresh-token rotation; the old token still works for `graceMs`. */
  readonly rotation?: false | { readonly graceMs: number }
  /** The lifetime of access and id tokens; default 3600. */
  readonly lifetimeSeconds?: number
  /** The lifetime of refresh tokens, from the sign-in and not sliding; default 30 days. */
  readonly refreshLifetimeSeconds?: number
  /** False is `PreventUserExistenceErrors=LEGACY`: UserNotFoundException instead of a made-up challenge. */
  readonly hidesUnknownUsers?: boolean
}

export interface EmulatorUser {
  readonly username: string
  readonly password: string
  readonly sub?: string
  /** Other names to log in with; hashes are made over `username` all the same. */
  readonly aliases?: readonly string[]
  /** Hex; drawn at random unless a case needs a certain one. */
  readonly salt?: string
  readonly state?: 'confirmed' | 'disabled' | 'unconfirmed' | 'reset-required'
}

/** A user as the pool keeps it: with a verifier in place of the password. */
export interface Account {
  readonly username: string
  readonly aliases: readonly string[]
  readonly sub: string
  readonly state: 'confirmed' | 'disabled' | 'unconfirmed' | 'reset-required'
  verifier: Verifier
}

/** A client with its pool's accounts. */
export interface Registration {
  readonly pool: EmulatorPool
  readonly client: EmulatorClient
  readonly accounts: readonly Account[]
}

/** All app clients, by id. */
export type Registrations = ReadonlyMap<string, Registration>

export function registerPools (pools: readonly EmulatorPool[]): Registrations {
  const registrations = new Map<string, Registration>()
  for (const pool of pools) {
    const accounts = pool.users.map((user) => createAccount(pool, user))
    for (const client of pool.clients) registrations.set(client.id, { pool, client, accounts })
  }
  return registrations
}

/** The client that a request names. */
export function findClient (registrations: Registrations, parameters: Parameters, note: Note): Registration {
  const id = textOf(parameters, 'ClientId')
  note.clientId = id
  const registration = registrations.get(id)
  if (registration === undefined) throw new ServiceError('ResourceNotFoundException', `User pool client ${id} does not exist.`)
  return registration
}

export function findAccount (registration: Registration, username: string): Account | undefined {
  return registration.accounts.find((account) => account.username === username || account.aliases.includes(username))
}

export function setPassword (registrations: Registrations, poolId: string, username: string, password: string): void {
  const registration = [...registrations.values()].find(({ pool }) => pool.id === poolId)
  const account = registration && findAccount(registration, username)
  if (account === undefined) throw new TypeError('no such pool or user')
  account.verifier = createVerifier(poolName(poolId), account.username, password)
}

/** Refuses a request without the right `SECRET_HASH` where the client has a secret. */
export function checkSecretHash ({ client }: Registration, parameters: Parameters, username: string): void {
  if (client.secret === undefined) return
  const given = parameters['SECRET_HASH']
  if (typeof given !== 'string') {
    throw new ServiceError('NotAuthorizedException', `Client ${client.id} is configured with secret but SECRET_HASH was not received`)
  }
  if (!equalBytes(Buffer.from(given), Buffer.from(secretHash(client.secret, username, client.id)))) {
    throw new ServiceError('NotAuthorizedException', `Unable to verify secret hash for client ${client.id}`)
  }
}

/** The part of a pool id behind `_`, which is what SRP hashes (floci-io/floci#358 took the whole). */
export function poolName (poolId: string): string {
  return poolId.slice(poolId.indexOf('_') + 1)
}

export function regionOf (poolId: string): string {
  return poolId.slice(0, poolId.indexOf('_'))
}

function createAccount (pool: EmulatorPool, user: EmulatorUser): Account {
  return {
    username: user.username,
    aliases: user.aliases ?? [],
    sub: user.sub ?? randomUUID(),
    state: user.state ?? 'confirmed',
    verifier: createVerifier(poolName(pool.id), user.username, user.password, user.salt)
  }
}

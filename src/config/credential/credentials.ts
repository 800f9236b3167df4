import { Secret } from '../../secret.ts'
import { readBaseUrl } from '../route/base-url.ts'
import { problemOfEnds, oddities } from '../checks.ts'
import type { CognitoCredential, CredentialConfig, CustomCredential } from '../config.ts'
import { resolveOAuth2 } from './oauth2.ts'
import { PRESETS } from './presets.ts'
import type { Path, Reporter } from '../problem.ts'
import type { SchemeShape } from '../route/schema.ts'
import type { CognitoShape, CredentialShape, DefenderShape, StaticShape } from './schema.ts'

/** A sound credential, with the facts that the routes that use it need. */
export interface ResolvedCredential {
  readonly config: CredentialConfig
  /** The kind of value that is sent where a route asks for nothing more exact. */
  readonly sends: 'token' | 'value' | 'basic'
  /** The fields that `use` may name, in plain text: each place has its own rule for their values. */
  readonly fields: ReadonlyMap<string, string>
  readonly inject: readonly SchemeShape[]
  readonly upstream?: string
}

/** Whether a text may name a credential; names stand in logs, labels and paths. */
export function isCredentialName (name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name)
}

/**
 * Checks a credential and fills in its preset and defaults.
 *
 * @returns undefined where it has an error, which is reported
 */
export function resolveCredential (shape: CredentialShape, path: Path, reporter: Reporter): ResolvedCredential | undefined {
  const before = reporter.problems.length
  const blank = Object.entries(shape).filter(
    ([key, value]) => key !== 'endpoint' && key !== 'tokenUrl' && typeof value === 'string' && value.trim() === ''
  )
  for (const [key] of blank) reporter.error([...path, key], 'is empty; write its value, or a ${NAME} that stands for it') // eslint-disable-line no-template-curly-in-string
  for (const [key, value] of Object.entries(shape)) {
    if (PASTED.has(key) && typeof value === 'string' && value.trim() !== '') checkPasted(value, shape.type, [...path, key], reporter)
  }
  const resolved = resolveType(shape, path, reporter)
  return blank.length > 0 || reporter.problems.slice(before).some(({ severity }) => severity === 'error') ? undefined : resolved
}

/** A credential of a program's own is sent as every other token. */
export function resolveCustom (config: CustomCredential): ResolvedCredential {
  return { config, sends: 'token', fields: new Map(), inject: [BEARER] }
}

// Fields that a person copies from a password store, a console or a file.
const PASTED: ReadonlySet<string> = new Set(['clientId', 'username', 'password', 'clientSecret', 'apiKey', 'apiSecret', 'value'])

/** Leaves to other checks what they refuse with better words: control characters of OAuth 2.0, and values that no header can carry. */
function checkPasted (text: string, type: CredentialShape['type'], path: Path, reporter: Reporter): void {
  const problem = path.at(-1) === 'clientId' ? undefined : problemOfEnds(text)
  // eslint-disable-next-line no-control-regex -- the very thing to find
  const hasControl = /[\0-\x1f\x7f]/.test(text)
  if (problem !== undefined && type !== 'static' && !(type === 'oauth2' && hasControl)) reporter.error(path, problem)
  // An API may want a value that no identity provider takes; the rules for it depend on its place (bindings.ts).
  else if (path.at(-1) !== 'value' && !hasControl) for (const oddity of oddities(text)) reporter.warning(path, oddity)
}

function resolveType (shape: CredentialShape, path: Path, reporter: Reporter): ResolvedCredential | undefined {
  if (shape.type === 'static') return resolveStatic(shape, path, reporter)
  return shape.type === 'oauth2'
    ? { config: resolveOAuth2(shape, path, reporter), sends: 'token', fields: fieldsOf(shape), inject: [BEARER] }
    : resolveCognito(shape, path, reporter)
}

const BEARER: SchemeShape = { type: 'http', scheme: 'bearer' }

function resolveCognito (shape: CognitoShape | DefenderShape, path: Path, reporter: Reporter): ResolvedCredential {
  const preset = shape.type === 'cognito' ? undefined : PRESETS[shape.type]
  const userPoolId = shape.userPoolId ?? preset?.userPoolId ?? ''
  const clientId = shape.clientId ?? preset?.clientId ?? ''
  const badPool = userPoolId !== '' && !/^[\w-]+_[\x21-\x7e]+$/.test(userPoolId)
  if (badPool) reporter.error([...path, 'userPoolId'], 'is no user pool id; write REGION_ID, as eu-west-1_AbCdEf123')
  // As lenient as the Cognito library (CognitoUserPool.js): emulators name their pools and clients as they like.
  if (clientId !== '' && !/^[\x21-\x7e]{1,128}$/.test(clientId)) {
    reporter.error([...path, 'clientId'], "is no app client id; copy it from the user pool's app client (no white space)")
  }
  const [region = ''] = userPoolId.split('_')
  const endpoint = readBaseUrl(
    shape.endpoint ?? `https://cognito-idp.${region}.amazonaws.com`,
    shape.allowInsecureEndpoint,
    'allowInsecureEndpoint'
  )
  if (!endpoint.ok && shape.endpoint !== undefined) reporter.error([...path, 'endpoint'], endpoint.problem)
  // By a rule of our own: Node 24 takes `xn--` for a host name, Node 20 does not.
  const isRegion = /^[a-z\d]+(?:-[a-z\d]+)*$/i.test(region)
  if (shape.endpoint === undefined && !isRegion && !badPool && userPoolId !== '') {
    reporter.error([...path, 'userPoolId'], 'has no region in front of its _, so there is no endpoint; write REGION_ID, or set endpoint')
  }
  const config: CognitoCredential = {
    type: shape.type,
    userPoolId,
    clientId,
    username: new Secret(shape.type === 'cognito' ? shape.username : shape.apiKey),
    password: new Secret(shape.type === 'cognito' ? shape.password : shape.apiSecret),
    ...(shape.type === 'cognito' && shape.clientSecret !== undefined && { clientSecret: new Secret(shape.clientSecret) }),
    tokenUse: shape.type === 'cognito' ? shape.tokenUse : 'access',
    authFlow: shape.type === 'cognito' ? shape.authFlow : 'srp',
    endpoint: endpoint.ok ? endpoint.url : ''
  }
  const inject: readonly SchemeShape[] =
    preset === undefined ? [BEARER] : [{ type: 'apiKey', in: 'header', name: 'X-Api-Key', use: 'apiKey' }, BEARER]
  return { config, sends: 'token', fields: fieldsOf(shape), inject, ...(preset !== undefined && { upstream: preset.upstream }) }
}

function resolveStatic (shape: StaticShape, path: Path, reporter: Reporter): ResolvedCredential | undefined {
  const { value, username, password } = shape
  if (value !== undefined) {
    for (const [key, other] of Object.entries({ username, password })) {
      if (other !== undefined) reporter.error([...path, key], 'stands beside value; keep either value, or username and password')
    }
    return { config: { type: 'static', value: new Secret(value) }, sends: 'value', fields: fieldsOf(shape), inject: [BEARER] }
  }
  if (username === undefined && password === undefined) reporter.error(path, 'has no secret; add value, or username and password')
  else if (username === undefined) reporter.error([...path, 'username'], 'is missing; add it, or write value in place of password')
  else if (password === undefined) reporter.error([...path, 'password'], 'is missing; add it, or write value in place of username')
  if (username === undefined || password === undefined) return undefined
  // RFC 7617 section 2: the first colon ends the name, and neither part may hold control characters.
  if (username.includes(':')) {
    reporter.error([...path, 'username'], 'holds a colon, which Basic authentication cannot carry in a name; correct it')
  }
  for (const [key, text] of Object.entries({ username, password })) {
    // eslint-disable-next-line no-control-regex -- the very thing to find
    if (/[\0-\x1f\x7f]/.test(text)) {
      reporter.error([...path, key], 'holds a line break or another control character, which Basic authentication cannot carry; remove it')
    }
  }
  const encoded = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
  return {
    config: { type: 'static', value: new Secret(encoded) },
    sends: 'basic',
    fields: fieldsOf(shape),
    inject: [{ type: 'http', scheme: 'basic' }]
  }
}

const NO_FIELDS: readonly string[] = ['type', 'tokenUse', 'authFlow', 'endpoint', 'tokenUrl', 'clientAuth', 'tokenType']

function fieldsOf (shape: CredentialShape): Map<string, string> {
  return new Map(
    Object.entries(shape).flatMap(([key, value]) => (typeof value === 'string' && !NO_FIELDS.includes(key) ? [[key, value] as const] : []))
  )
}

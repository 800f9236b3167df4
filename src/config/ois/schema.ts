/* eslint-disable no-template-curly-in-string -- ${NAME} is what some descriptions are about */
import * as z from 'zod'
import { quote, type Path } from '../problem.ts'
import { text } from '../schema-parts.ts'

const place = {
  in: z
    .enum(['header', 'query', 'cookie'])
    .describe('Where the value goes. query: into the body of a POST, into the URL of every other request.'),
  name: text('Name of the header, parameter or cookie.')
}

type RelaySchemeShape<Kind extends string> = z.ZodObject<{ type: z.ZodLiteral<Kind> } & typeof place, z.core.$strict>

const relayScheme = <Kind extends string>(kind: Kind, what: string): RelaySchemeShape<Kind> => {
  return z.strictObject({ type: z.literal(kind).describe(`Sends ${what}, which the route's relay says where to take from.`), ...place })
}

/** The shape of each type of OIS security scheme: exactly these keys, as `@api3/ois` has them from 1.0 to 3.0. */
export const OIS_SCHEME_SHAPES = {
  apiKey: z.strictObject({ type: z.literal('apiKey').describe('Sends a value of apiCredentials under a name.'), ...place }),
  http: z.strictObject({
    type: z.literal('http').describe('Sends a value of apiCredentials in Authorization.'),
    scheme: z.enum(['bearer', 'basic']).describe('bearer: the bare token; basic: base64 of user:password.')
  }),
  relayRequesterAddress: relayScheme('relayRequesterAddress', 'the requester\'s address'),
  relayChainId: relayScheme('relayChainId', 'the chain\'s id'),
  relayChainType: relayScheme('relayChainType', 'the chain\'s type'),
  relaySponsorAddress: relayScheme('relaySponsorAddress', 'the sponsor\'s address'),
  relaySponsorWalletAddress: relayScheme('relaySponsorWalletAddress', 'the sponsor wallet\'s address'),
  relayRequestId: relayScheme('relayRequestId', 'the request\'s id')
} as const

export const OisSchemeSchema = z
  .discriminatedUnion('type', [
    OIS_SCHEME_SHAPES.apiKey,
    OIS_SCHEME_SHAPES.http,
    OIS_SCHEME_SHAPES.relayRequesterAddress,
    OIS_SCHEME_SHAPES.relayChainId,
    OIS_SCHEME_SHAPES.relayChainType,
    OIS_SCHEME_SHAPES.relaySponsorAddress,
    OIS_SCHEME_SHAPES.relaySponsorWalletAddress,
    OIS_SCHEME_SHAPES.relayRequestId
  ])
  .describe('A security scheme of an OIS.')

export const ServerSchema = z.strictObject({ url: text('Base URL of the API, without query, fragment, user info and template variables.') })

const operation = z.looseObject({}).describe('What it holds is not read.').optional()
export const PathSchema = z.strictObject({ get: operation, post: operation }).describe('The methods of a path.')

export const ComponentsSchema = z.strictObject({
  securitySchemes: z
    .record(z.string(), OisSchemeSchema)
    .describe('Security schemes by name. Only those that security turns on are applied.')
    .optional()
})

/** The value behind the name of a scheme that is turned on. */
export const ScopesSchema = z.array(z.unknown()).max(0).describe('Empty: OIS has no scopes.')
export const SecuritySchema = z.union([z.record(z.string(), ScopesSchema), ScopesSchema])
  .describe('The schemes that are turned on, all of them at once: { "NAME": [] }.')

export const ApiSpecificationsSchema = z.strictObject({
  servers: z.array(ServerSchema).describe('Exactly one: the upstream.').optional(),
  components: ComponentsSchema.describe('Holds the security schemes.').optional(),
  security: SecuritySchema.optional(),
  paths: z.record(z.string(), PathSchema).describe('The API\'s paths; a route with "allow": "ois" lets nothing else through.').optional()
})

const TitleSchema = text('Names the OIS: at most 64 letters, digits, blanks, _ and -.')
const FormatSchema = text('The version of OIS, 1.x.x to 3.x.x, which are read alike.')

/** An OIS object, whole or partial. Of a whole one only these three keys are read. */
export const OisSchema = z.looseObject({
  title: TitleSchema,
  oisFormat: FormatSchema.optional(),
  apiSpecifications: ApiSpecificationsSchema.describe('Where the API is and what it wants.')
}).describe('An Oracle Integration Specification, whole or with only title and apiSpecifications.')

export const ApiCredentialSchema = z.strictObject({
  oisTitle: text('Title of the OIS that the scheme belongs to.'),
  securitySchemeName: text('Name of the scheme.'),
  securitySchemeValue: text('The value; for http basic base64 of user:password. Write ${NAME} and keep it among the secrets.').optional(),
  credential: text('Instead of a value, a name from credentials: its current token is the value, kept fresh in the background.').optional()
}).describe('The value of one scheme of one OIS.')

const fixed = z.string().describe('One value for every request.')
const header = z.strictObject({ header: text('A header of the request; it is taken off before forwarding.') })
const generate = z.strictObject({ generate: z.literal(true).describe('A fresh value for every request.') })
const source = (what: string): z.ZodOptional<z.ZodUnion<readonly [typeof fixed, typeof header]>> => {
  return z.union([fixed, header]).describe(`${what}: a fixed value, or { "header": "NAME" }.`).optional()
}

/** Where a route takes relayed metadata from. The local caller asserts them; nobody verifies them. */
export const RelaySchema = z.strictObject({
  relayRequesterAddress: source('0x and 40 hex digits'),
  relayChainId: source('Decimal digits'),
  relayChainType: source('evm'),
  relaySponsorAddress: source('0x and 40 hex digits'),
  relaySponsorWalletAddress: source('0x and 40 hex digits'),
  relayRequestId: z
    .union([fixed, header, generate])
    .describe('0x and 64 hex digits: a fixed value, { "header": "NAME" } or { "generate": true }.')
    .optional()
})

export type ApiCredentialShape = z.output<typeof ApiCredentialSchema>
export type RelayShape = z.output<typeof RelaySchema>

/** The message for a problem that the general wording would not describe well; undefined where its place is an ordinary one. */
export function describeOisProblem (path: Path, value: unknown): string | undefined {
  const [top, , third, part, name, , key] = path
  if (top === 'routes' && third === 'relay' && part !== undefined) {
    return `must be a string, ${part === 'relayRequestId' ? '{ "header": "NAME" } or { "generate": true }' : 'or { "header": "NAME" }'}; correct it`
  }
  if (top !== 'ois' || third !== 'apiSpecifications') return undefined
  if (part === 'security' && path.length === 4) {
    if (Array.isArray(value)) {
      return `is a list, as OpenAPI has it, and OIS has no alternatives; write an object, ${exampleOfSecurity(value)}`
    }
    return typeof value === 'object' && value !== null ? undefined : 'must be an object, { "NAME": [] }; correct it'
  }
  if (part === 'security') return 'must be an empty list, [], since OIS has no scopes; correct it'
  return part === 'components' && name === 'securitySchemes' && key === 'type' ? problemOfType(value) : undefined
}

function exampleOfSecurity (list: readonly unknown[]): string {
  const names = list.flatMap((item) => typeof item === 'object' && item !== null ? Object.keys(item) : []).slice(0, 4)
  return `{ ${(names.length === 0 ? ['"NAME"'] : [...new Set(names)].map((name) => quote(name))).map((name) => `${name}: []`).join(', ')} }`
}

function problemOfType (type: unknown): string | undefined {
  const types = Object.keys(OIS_SCHEME_SHAPES).map((name) => quote(name)).join(', ')
  if (type === 'oauth2') {
    return `is no type that OIS has; define an http bearer scheme, and name a credential of type oauth2 in apiCredentials (OIS has ${types})`
  }
  return type === undefined ? undefined : `is no type that OIS has; write one of ${types}`
}

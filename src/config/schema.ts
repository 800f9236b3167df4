/* eslint-disable no-template-curly-in-string -- ${NAME} is what this file is about */
import * as z from 'zod'
import { HEADER_BYTES } from '../http/headers.ts'
import { ApiCredentialSchema, OisSchema, RelaySchema } from './ois/schema.ts'
import { AIRNODE_SECTIONS } from './sections.ts'

// A timer that is set for longer fires at once (Node's documentation of setTimeout).
const LONGEST_TIMER_MS = 2_147_483_647

const text = (description: string): z.ZodString => z.string().describe(description)
const textOrList = (description: string): z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]> =>
  z.union([z.string(), z.array(z.string())]).describe(description)
const positive = (description: string): z.ZodInt => z.int().positive().describe(description)
const milliseconds = (description: string): z.ZodInt => z.int().positive().max(LONGEST_TIMER_MS).describe(description)

const userPoolId = text('The user pool, as eu-west-1_AbCdEf123.')
const clientId = text('The app client of the user pool.')
const endpoint = text(
  'Base URL of the identity provider. Default: https://cognito-idp.REGION.amazonaws.com, with the region of the user pool.'
)
const allowInsecureEndpoint = z
  .boolean()
  .default(false)
  .describe('Allows an endpoint with http: that is not on this machine. The login then crosses the network in the clear.')

const defender = {
  apiKey: text('The API key. Write ${NAME} and keep the value among the secrets.'),
  apiSecret: text('The API secret. Write ${NAME} and keep the value among the secrets.'),
  userPoolId: userPoolId.describe('Another user pool than the preset\'s.').optional(),
  clientId: clientId.describe('Another app client than the preset\'s.').optional(),
  endpoint: endpoint.optional(),
  allowInsecureEndpoint
}

/** The shape of each type of credential. */
export const CREDENTIAL_SHAPES = {
  cognito: z.strictObject({
    type: z.literal('cognito').describe('A user of an AWS Cognito user pool; sends its token.'),
    userPoolId,
    clientId,
    username: text("The user's name."),
    password: text("The user's password. Write ${NAME} and keep the value among the secrets."),
    clientSecret: text("The app client's secret, where it has one.").optional(),
    tokenUse: z.enum(['access', 'id']).default('access').describe("Which of the user's tokens is sent."),
    authFlow: z
      .enum(['srp', 'password'])
      .default('srp')
      .describe('How to log in: srp never sends the password, password does (USER_PASSWORD_AUTH).'),
    endpoint: endpoint.optional(),
    allowInsecureEndpoint
  }),
  'defender-relayer': z.strictObject({
    type: z.literal('defender-relayer').describe('A relayer of OpenZeppelin Defender; sends its API key and a token.'),
    ...defender
  }),
  'defender-admin': z.strictObject({
    type: z.literal('defender-admin').describe('A team of OpenZeppelin Defender; sends its API key and a token.'),
    ...defender
  }),
  oauth2: z.strictObject({
    type: z.literal('oauth2').describe('A client of an OAuth 2.0 authorization server (client credentials grant); sends its token.'),
    tokenUrl: text('The token endpoint: https:, or http: to this machine. It may carry a query.'),
    clientId: text("The client's identifier."),
    clientSecret: text("The client's secret. Write ${NAME} and keep the value among the secrets."),
    scope: textOrList('Scopes to ask for: a list, or text in which blanks separate them.').optional(),
    audience: textOrList('The audience to ask for, or several.').optional(),
    resource: textOrList('The resource to ask for (RFC 8707), or several.').optional(),
    clientAuth: z
      .enum(['basic', 'post'])
      .default('basic')
      .describe('How the client authenticates: basic in the Authorization header (RFC 6749 section 2.3.1), post in the form.'),
    extra: z.record(z.string(), text("The field's value.")).default({}).describe('Further fields of the form.'),
    tokenType: z
      .enum(['bearer', 'any'])
      .default('bearer')
      .describe(
        'Which types of token are taken: bearer, where the response names that or none; any, which are sent as bearer tokens all the same.'
      ),
    lifetimeSeconds: positive('How long a token lives, where the response does not tell. Default: its own exp - iat, else 300.').optional(),
    allowInsecureEndpoint: allowInsecureEndpoint.describe(
      'Allows a tokenUrl with http: that is not on this machine. The secret then crosses the network in the clear.'
    )
  }),
  static: z.strictObject({
    type: z.literal('static').describe('A fixed secret: either value, or username and password.'),
    value: text("The secret; sent as a bearer token unless the route's inject says otherwise.").optional(),
    username: text('The name for Basic authentication.').optional(),
    password: text('The password for Basic authentication.').optional()
  })
} as const

export const CredentialSchema = z
  .discriminatedUnion('type', [
    CREDENTIAL_SHAPES.cognito,
    CREDENTIAL_SHAPES['defender-relayer'],
    CREDENTIAL_SHAPES['defender-admin'],
    CREDENTIAL_SHAPES.oauth2,
    CREDENTIAL_SHAPES.static
  ])
  .describe('Something that authenticates requests.')

const source = {
  use: text('Takes this field of the credential instead of its token: apiKey, password, value, ….').optional(),
  credential: text('Takes the value from this credential instead of the route\'s.').optional()
}

/** The shape of each type of security scheme. */
export const SCHEME_SHAPES = {
  apiKey: z.strictObject({
    type: z.literal('apiKey').describe('Sends the value under a name.'),
    in: z.enum(['header', 'query', 'cookie']).describe('Where the value goes.'),
    name: text('Name of the header, parameter or cookie.'),
    ...source,
    postQuery: z
      .literal('url')
      .describe('Puts a query parameter into the URL for POST too, where Airnode puts it into the body.')
      .optional()
  }),
  http: z.strictObject({
    type: z.literal('http').describe('Sends the value in Authorization.'),
    scheme: z
      .enum(['bearer', 'basic'])
      .describe('bearer: Authorization: Bearer VALUE; basic: Authorization: Basic VALUE, which is base64 of user:password.'),
    ...source
  })
} as const

const SchemeSchema = z
  .discriminatedUnion('type', [SCHEME_SHAPES.apiKey, SCHEME_SHAPES.http])
  .describe('A security scheme, named as OIS and OpenAPI name it.')

export const TlsSchema = z.strictObject({
  ca: text('File (PEM) of the authorities to trust instead of the usual ones. A relative path starts from this file\'s folder.').optional(),
  cert: text('File (PEM) of the client certificate, with its intermediate certificates behind it.').optional(),
  key: text('File (PEM, not encrypted) of the client certificate\'s private key.').optional(),
  serverName: text('The name that the upstream\'s certificate must have, sent as SNI. Default: the upstream\'s host.').optional()
})

export const RouteSchema = z
  .strictObject({
    prefix: text(
      '/name: a request for /name or /name/… goes to the upstream with the prefix removed. / takes what no longer prefix takes.'
    ).optional(),
    listen: text(
      "Instead of, or beside, prefix: an address of the route's own, on which every path goes to the upstream with nothing removed."
    ).optional(),
    upstream: text(
      'Base URL: https:, http: to this machine, or unix:/path/to.sock, a base path behind another colon. Its path is kept. Optional where the credential is a Defender preset.'
    ).optional(),
    credential: text('A name from credentials. Absent for a public upstream.').optional(),
    inject: z.array(SchemeSchema).describe("Security schemes to apply instead of the credential's default.").optional(),
    ois: text(
      'Title of an OIS: the upstream is its one server, the schemes are those that its security turns on, and their values come from apiCredentials.'
    ).optional(),
    relay: RelaySchema.describe(
      "Where the OIS's relayed metadata come from. The local caller asserts them; nobody verifies them."
    ).optional(),
    postQuery: z
      .literal('url')
      .describe("Puts the OIS's query parameters into the URL for POST too, where Airnode puts them into the body.")
      .optional(),
    allow: z
      .union([z.array(text('METHOD /path, where METHOD may be ANY, * is one segment and a last ** any rest.')), z.literal('ois')])
      .describe(
        'What may be requested, below the prefix; anything else is refused. "ois": the paths of the route\'s OIS. Absent: everything.'
      )
      .optional(),
    tls: TlsSchema.describe('Whom to trust, and who to be, towards an https: upstream. Verification cannot be turned off.').optional(),
    allowInsecureUpstream: z
      .boolean()
      .default(false)
      .describe('Allows an upstream with http: that is not on this machine. Credentials then cross the network in the clear.'),
    timeoutMs: milliseconds('Longest wait for response headers once the request is sent.').default(60_000),
    idleTimeoutMs: milliseconds('Longest silence within a body.').default(300_000),
    maxBodyBytes: positive('Longest request body. Default: no limit.').optional(),
    websocket: z
      .boolean()
      .default(true)
      .describe('Whether connections may be upgraded, to WebSocket or any other protocol; false refuses that with 403.'),
    scrub: z.boolean().default(false).describe('Masks credentials of the route that its upstream echoes in headers or body.')
  })
  .describe('A path prefix, or an address, and the upstream behind it.')

export const LimitsSchema = z.strictObject({
  connections: positive('Open client connections.').default(10_000),
  requests: positive('Requests in flight.').default(2000),
  headerBytes: positive('The longest header section, in bytes.').default(HEADER_BYTES)
})

export const LoginsSchema = z.strictObject({
  concurrency: positive('Logins at the same time.').default(4),
  perSecond: positive('Logins that start within a second.').default(20)
})

export const TokenCacheSchema = z.strictObject({
  directory: text(
    "Directory for the encrypted tokens, made with mode 0700 where there is none. A relative path starts from this file's folder."
  ),
  key: text('32 bytes in hex or base64, which encrypt the tokens. Write ${NAME} and keep the value among the secrets.')
})

export const SampleSchema = z.strictObject({
  sample: z.number().min(0).max(1).describe('The share of requests that get a log line, from 0 to 1.')
})

/** The shape of a configuration file, after interpolation. What a shape cannot say, `resolve.ts` checks. */
export const FileSchema = z
  .strictObject({
    $schema: text('Where the JSON Schema is, for editors.').optional(),
    listen: text(
      "The proxy's address: 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to.sock; port 0 for a free one. Default: 127.0.0.1:8080."
    ).optional(),
    admin: text("The admin listener's address, or off. Default: 127.0.0.1:8081.").optional(),
    allowExternal: z
      .boolean()
      .describe('Allows addresses that other machines can reach. They can then spend the credentials. Default: false.')
      .optional(),
    allowedHosts: z
      .array(text('An exact name, or a name with a port.'))
      .default([])
      .describe('Further names under which clients may call this proxy (the Host guard).'),
    allowedOrigins: z
      .array(text('scheme://host or scheme://host:port.'))
      .default([])
      .describe('Origins whose pages may call this proxy from a browser.'),
    callerToken: text('When set, every proxied request must carry it. Write ${NAME} and keep the value among the secrets.').optional(),
    credentials: z
      .record(z.string(), CredentialSchema)
      .default({})
      .describe('Credentials by name (letters, digits, _ . and -, at most 64).'),
    routes: z.array(RouteSchema).default([]).describe('What is proxied where.'),
    ois: z
      .array(OisSchema)
      .default([])
      .describe(
        'OIS objects. One that no route names gets a route at / and its title in lower case, with - for everything but letters and digits.'
      ),
    apiCredentials: z.array(ApiCredentialSchema).default([]).describe("The values of the OIS objects' schemes."),
    ...airnodeSections(),
    accessLog: z
      .union([z.boolean(), SampleSchema])
      .default(true)
      .describe('One log line per request: true, false, or a share of them. Refused requests always have theirs, but for false.'),
    shutdownTimeoutMs: milliseconds('Longest wait for requests in flight when stopping.').default(30_000),
    limits: LimitsSchema.prefault({}).describe('More is refused at once.'),
    logins: LoginsSchema.prefault({}).describe('How fast many credentials may log in.'),
    tokenCache: TokenCacheSchema.describe('Keeps tokens on disk, encrypted, for a restart while the identity provider is down.').optional()
  })
  .meta({
    title: 'Countersign configuration',
    description: 'JSON with comments and trailing commas. ${NAME} in any string value is replaced by the secret NAME; \\${ is a literal ${.'
  })

export type CredentialShape = z.output<typeof CredentialSchema>
export type CognitoShape = z.output<typeof CREDENTIAL_SHAPES.cognito>
export type DefenderShape = z.output<(typeof CREDENTIAL_SHAPES)['defender-relayer' | 'defender-admin']>
export type OAuth2Shape = z.output<typeof CREDENTIAL_SHAPES.oauth2>
export type StaticShape = z.output<typeof CREDENTIAL_SHAPES.static>
export type SchemeShape = z.output<typeof SchemeSchema>
export type RouteShape = z.output<typeof RouteSchema>
export type TlsShape = z.output<typeof TlsSchema>
export type TokenCacheShape = z.output<typeof TokenCacheSchema>

/** What the documentation describes and this version does not do yet: refused by name instead of as a spelling mistake. */
export const NOT_YET: readonly string[] = ['cache']

/** The JSON Schema of the file, as `config/countersign.schema.json` holds it. */
export function fileJsonSchema (): unknown {
  return z.toJSONSchema(FileSchema, { io: 'input', target: 'draft-7' })
}

function airnodeSections (): Record<(typeof AIRNODE_SECTIONS)[number], z.ZodOptional<z.ZodUnknown>> {
  const ignored = z.unknown().optional().describe('A section of an Airnode configuration; ignored beside ois.')
  // Object.fromEntries forgets the names.
  return Object.fromEntries(AIRNODE_SECTIONS.map((name) => [name, ignored])) as Record<(typeof AIRNODE_SECTIONS)[number], typeof ignored>
}

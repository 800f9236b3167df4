import * as z from 'zod'
import { RelaySchema } from '../ois/schema.ts'
import { milliseconds, positive, text } from '../schema-parts.ts'

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

export type SchemeShape = z.output<typeof SchemeSchema>
export type RouteShape = z.output<typeof RouteSchema>
export type TlsShape = z.output<typeof TlsSchema>

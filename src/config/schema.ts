/* eslint-disable no-template-curly-in-string -- ${NAME} is what this file is about */
import * as z from 'zod'
import { HEADER_BYTES } from '../http/headers.ts'
import { CredentialSchema } from './credential/schema.ts'
import { ApiCredentialSchema, OisSchema } from './ois/schema.ts'
import { RouteSchema } from './route/schema.ts'
import { milliseconds, positive, text } from './schema-parts.ts'
import { AIRNODE_SECTIONS } from './sections.ts'

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

/** The shape of a configuration file, after interpolation. `resolve.ts` checks the rules that a shape cannot express. */
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

export type TokenCacheShape = z.output<typeof TokenCacheSchema>

/** Keys that the documentation describes and this version does not know yet: refused by name instead of as a spelling mistake. */
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

/** As people write it, without the defaults. */
export type FileInput = z.input<typeof FileSchema>

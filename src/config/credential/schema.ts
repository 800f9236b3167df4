/* eslint-disable no-template-curly-in-string -- ${NAME} is what this file is about */
import * as z from 'zod'
import { positive, text, textOrList } from '../schema-parts.ts'

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

/** As people write it, without the defaults. */
export type CredentialInputs = z.input<typeof CredentialSchema>
export type CredentialShape = z.output<typeof CredentialSchema>
export type CognitoShape = z.output<typeof CREDENTIAL_SHAPES.cognito>
export type DefenderShape = z.output<(typeof CREDENTIAL_SHAPES)['defender-relayer' | 'defender-admin']>
export type OAuth2Shape = z.output<typeof CREDENTIAL_SHAPES.oauth2>
export type StaticShape = z.output<typeof CREDENTIAL_SHAPES.static>

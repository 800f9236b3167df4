import type { Address } from '../http/address.ts'
import type { RouteOptions } from '../route/route.ts'
import type { Secret } from '../secret.ts'

/** Everything the daemon needs to know, validated and frozen. Nothing below `config/` reads files or the environment. */
export interface Config {
  readonly listen: Address
  readonly admin: Address | 'off'
  readonly allowExternal: boolean
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly callerToken?: Secret
  readonly credentials: ReadonlyMap<string, CredentialConfig>
  readonly routes: readonly RouteConfig[]
  /** The share of requests that get a log line, beside those that are refused; 1 is all. False: none at all. */
  readonly accessLog: number | false
  readonly shutdownTimeoutMs: number
  readonly limits: { readonly connections: number, readonly requests: number, readonly headerBytes: number }
  readonly logins: { readonly concurrency: number, readonly perSecond: number }
  readonly tokenCache?: TokenCacheConfig
  readonly logLevel: LogLevel
}

/** Encrypted tokens on disk. */
export interface TokenCacheConfig {
  /** An absolute path. */
  readonly directory: string
  /** 32 bytes in hex. */
  readonly key: Secret
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** A credential that passed every check, told apart by its type. */
export type CredentialConfig = CognitoCredential | OAuth2Credential | StaticCredential | CustomCredential

/** A user of a Cognito user pool; the Defender presets arrive here as well, with their own `type` for status and metrics. */
export interface CognitoCredential {
  readonly type: 'cognito' | 'defender-relayer' | 'defender-admin'
  readonly userPoolId: string
  readonly clientId: string
  readonly username: Secret
  readonly password: Secret
  /** The app client's secret, where it has one. */
  readonly clientSecret?: Secret
  readonly tokenUse: 'access' | 'id'
  /** `srp` never sends the password; `password` does. */
  readonly authFlow: 'srp' | 'password'
  /** The identity provider's base URL: `https:`, or `http:` to loopback or where the file allows it. */
  readonly endpoint: string
}

/** A client of an OAuth 2.0 authorization server, client credentials grant (RFC 6749 section 4.4). */
export interface OAuth2Credential {
  readonly type: 'oauth2'
  /** `https:`, or `http:` to loopback or where the file allows it. */
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly scope?: string
  readonly audience?: readonly string[]
  /** RFC 8707. */
  readonly resource?: readonly string[]
  readonly clientAuth: 'basic' | 'post'
  /** Further form fields; some providers want secrets there. */
  readonly extra: ReadonlyMap<string, Secret>
  /** Which types of token are taken. */
  readonly tokenType: 'bearer' | 'any'
  /** The lifetime of tokens whose response tells none. */
  readonly lifetimeSeconds?: number
}

interface StaticCredential {
  readonly type: 'static'
  /** The value that goes behind `Bearer ` or `Basic ` (then already base64), or verbatim into an apiKey. */
  readonly value: Secret
}

/** Tokens that the program which embeds this one gets by itself. A configuration object may have it, a file never. */
export interface CustomCredential {
  readonly type: 'custom'
  /** Stands for the source where credentials are compared: one source has one id, for as long as the process lives. */
  readonly id: string
  /** The source's method, bound to it. What it gives is checked where tokens are kept. */
  readonly token: (signal: AbortSignal, renewal?: unknown) => unknown
}

/** A route that passed every check. */
export interface RouteConfig extends RouteOptions {
  /** The upstream as people may see it: with `${NAME}` still in it where the file has that, since a secret may stand in a path. */
  readonly upstreamLabel: string
  /** The title of the route's OIS, for people; with `${NAME}` where the file has that. */
  readonly ois?: string
  /** The credential's name, for people and metrics; absent for a public upstream, and where an OIS takes values from several. */
  readonly credential?: string
}

/** A mistake in the configuration (an error) or a likely one (a warning), with its place where it has one. */
export interface Problem {
  readonly severity: 'error' | 'warning'
  /** The file, or the name of an environment variable or option. */
  readonly source: string
  /** 1-based. */
  readonly line?: number
  readonly column?: number
  /** `routes[0].prefix`. */
  readonly path?: string
  /** Says what is wrong and what to do. Never holds a value that could be a secret. */
  readonly message: string
}

/**
 * The programmatic API, in three parts, each of which is good without the others: a proxy in this process (`createProxy`), tokens
 * that stay usable (`createTokenSource`, `createRefresher`), and a `fetch` with credentials (`createFetch`). Below them are the parts
 * that `countersign serve` is made of. Durations are milliseconds, and instants RFC 3339, where nothing else is said.
 *
 * @module
 */
export { createProxy, type Proxy, type ProxyOptions } from './api/proxy.ts'
export { ConfigError } from './api/config-error.ts'
export type { ConfigInput, CredentialInput, CustomCredentialInput, OrSecret } from './api/input.ts'
export type { ApiLog } from './api/log.ts'
export { createTokenSource, type TokenSourceOptions } from './api/token-source.ts'
export { createRefresher, type Refresher, type RefresherOptions } from './api/refresher.ts'
export { createFetch, type FetchOptions, type FetchScheme, type FetchSchemeSource } from './api/fetch.ts'
export type { CustomGrant, CustomSource } from './token/custom.ts'
export { TokenError, type FailureClass, type Grant, type Renewal, type Token, type TokenSource } from './token/token.ts'
export { CredentialStore, type CredentialOptions, type StoreOptions } from './token/store.ts'
export type { CredentialStatus, FetchEvent } from './token/report.ts'
export { Secret } from './secret.ts'
export { ERRORS, ProxyError, type ErrorCode } from './errors.ts'
export type { Status, RouteStatus } from './admin.ts'
export { formatProblem, loadConfig, type LoadInput, type LoadOptions, type LoadResult } from './config/load.ts'
export type { Config, CredentialConfig, Problem, RouteConfig } from './config/config.ts'
export { formatAddress, parseAddress, type Address } from './http/address.ts'
export { ListenError } from './listen/bind.ts'
export { createLogger, type Logger, type LoggerOptions } from './logger.ts'
export { startServer, type RunningServer, type ServerOptions } from './server.ts'

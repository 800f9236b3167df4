/**
 * The programmatic API: what `countersign serve` is made of.
 *
 *     const loaded = loadConfig({ env: process.env, cwd: process.cwd(), options: { config: 'countersign.jsonc' } })
 *     if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
 *     const log = createLogger({ level: 'info', destination: process.stdout, readable: false, colour: false })
 *     const server = await startServer({ config: loaded.config, log, proxies: {} })
 *     await server.stop()
 */
export { formatProblem, loadConfig, type LoadInput, type LoadOptions, type LoadResult } from './config/load.ts'
export type { Config, CredentialConfig, Problem, RouteConfig } from './config/config.ts'
export { ERRORS, type ErrorCode } from './errors.ts'
export { formatAddress, parseAddress, type Address } from './http/address.ts'
export { ListenError } from './listen/bind.ts'
export { createLogger, type Logger, type LoggerOptions } from './logger.ts'
export { Secret } from './secret.ts'
export { startServer, type RunningServer, type ServerOptions } from './server.ts'

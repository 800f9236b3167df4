import type { Status } from '../admin.ts'
import type { Problem } from '../config/config.ts'
import { formatProblem, loadConfig, type LoadResult } from '../config/load.ts'
import { formatAddress, type Address } from '../http/address.ts'
import { readProxyEnvironment } from '../http/proxies.ts'
import { startServer, type RunningServer } from '../server.ts'
import { ConfigError } from './config-error.ts'
import { adaptLog, type ApiLog } from './log.ts'
import type { ConfigInput } from './input.ts'

/** What {@link createProxy} takes. Without `configFile` and `config` the configuration is found as `countersign serve` finds it. */
export interface ProxyOptions {
  /** The configuration file. Default: `COUNTERSIGN_CONFIG`, else `config/countersign.jsonc` where that exists, else variables alone. */
  readonly configFile?: string | undefined
  /** A configuration in the shape of the file, instead. */
  readonly config?: ConfigInput | undefined
  /** The secrets file. Default: `COUNTERSIGN_SECRETS`, else `config/secrets.env` where that exists. */
  readonly secretsFile?: string | undefined
  /** The proxy's ADDR; wins over environment and configuration. `127.0.0.1:0` is a free port. Default: `127.0.0.1:8080`. */
  readonly listen?: string | undefined
  /** The admin listener's ADDR, or `off`; wins likewise. Default: `127.0.0.1:8081`. */
  readonly admin?: string | undefined
  /** Allows an ADDR that other machines can reach; they can then spend the credentials. Default: false. */
  readonly allowExternal?: boolean | undefined
  /**
   * Secrets, `COUNTERSIGN_…` settings (they win over the configuration, as for `serve`), and the forward proxies on the way out
   * (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). It is read, and never changed. Default: `process.env`.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** What relative paths start from. Default: the working directory. */
  readonly cwd?: string | undefined
  /** Where log lines go; pino fits. Default: nowhere. */
  readonly log?: ApiLog | undefined
}

/** A proxy in this process, made by {@link createProxy}. */
export interface Proxy {
  /**
   * Begins to listen, and every first login. Requests wait for the login of their own credential, at most 10 s.
   *
   * @returns a promise that resolves once the listeners are up; see `whenReady`
   * @throws ListenError where an address cannot be taken; nothing is left running then
   */
  readonly start: () => Promise<void>
  /** Resolves once every credential had a token at the same time; not at all where that never happens. */
  readonly whenReady: () => Promise<void>
  /**
   * Loads the configuration anew and takes it over as a whole or not at all. Drops no request, closes no port that stays, keeps
   * the token of each credential that stays. Files are not watched: this is how they are read again.
   *
   * @param config another object, for a proxy that was made with one; default: the same object as it is now
   * @returns whether it has taken over: false where an address cannot be taken or the proxy is about to end, and the log tells why
   * @throws ConfigError where the new configuration is bad; the old one keeps serving
   */
  readonly reload: (config?: ConfigInput) => Promise<boolean>
  /** Lets requests in flight finish (at most `shutdownTimeoutMs`), then ends everything. Safe to call twice, and before `start`. */
  readonly stop: () => Promise<void>
  /** What `/status` of the admin listener says, without a request. Throws where the proxy is not started. */
  readonly status: () => Status
  /** The URL to send requests to, as `http://127.0.0.1:8080`; `unix:/path` for a socket. Throws where the proxy is not started. */
  readonly url: string
  /** The real addresses, with the ports that were chosen. They throw where the proxy is not started. */
  readonly address: Address
  readonly admin: Address | 'off'
  /** Of routes that have a listener of their own: the ADDR of the configuration, and the real one. */
  readonly routes: RunningServer['routes']
  /** What a person should know about the configuration that was loaded last. */
  readonly warnings: readonly Problem[]
}

/**
 * Makes a proxy out of a configuration: what `countersign serve` runs, in this process. It handles no signals, changes no
 * environment, and its timers keep no process alive; its listeners do until `stop`.
 *
 * @throws ConfigError with everything that is wrong, at once; nothing is running then
 * @throws TypeError where both `configFile` and `config` are there
 * @example
 * const proxy = createProxy({
 *   config: {
 *     credentials: { maps: { type: 'static', value: '${MAPS_KEY}' } },
 *     routes: [{ prefix: '/maps', upstream: 'https://maps.example.com', credential: 'maps' }]
 *   },
 *   listen: '127.0.0.1:0',
 *   admin: 'off'
 * })
 * await proxy.start()
 * const response = await fetch(`${proxy.url}/maps/tiles/1`)
 * await proxy.stop()
 */
export function createProxy (options: ProxyOptions = {}): Proxy {
  const { env = process.env } = options
  const load = createLoader(options)
  const log = adaptLog(options.log)
  let object = options.config
  let loaded = required(load(object))
  let starting: Promise<RunningServer> | undefined
  let server: RunningServer | undefined
  let reloading: Promise<unknown> = Promise.resolve()
  let stopped = false

  return {
    start: async () => {
      if (stopped) throw new Error('a proxy that was stopped does not start again; make another one')
      await (starting ??= start())
    },
    whenReady: async () => { await (await (starting ?? Promise.resolve(running()))).whenReady() },
    reload: (config) => {
      // One behind the other: the last one that is asked for is the one that stays.
      const reloaded = reloading.then(() => reload(config))
      reloading = reloaded.catch(() => {})
      return reloaded
    },
    stop: async () => {
      stopped = true
      // One that could not start has nothing that runs.
      const started = await starting?.catch(() => undefined)
      await started?.stop()
    },
    status: () => running().status(),
    get url () {
      const { address } = running()
      return address.type === 'tcp' ? `http://${formatAddress(address)}` : formatAddress(address)
    },
    get address () { return running().address },
    get admin () { return running().admin },
    get routes () { return running().routes },
    get warnings () { return loaded.warnings }
  }

  async function start (): Promise<RunningServer> {
    for (const warning of loaded.warnings) log.warn({ problem: formatProblem(warning) }, 'configuration warning')
    try {
      server = await startServer({ config: loaded.config, log, proxies: readProxyEnvironment(env) })
      return server
    } catch (error) {
      // The address may be free the next time.
      starting = undefined
      throw error
    }
  }

  async function reload (config?: ConfigInput): Promise<boolean> {
    const current = running()
    if (config !== undefined && object === undefined) throw new TypeError('this proxy has its configuration from a file')
    const candidate = config ?? object
    const next = load(candidate, loaded.files)
    // A bad one too: the server counts it, and says so in its status.
    const taken = await current.reload(next)
    const good = required(next)
    if (taken) [loaded, object] = [good, candidate]
    return taken
  }

  function running (): RunningServer {
    if (server === undefined) throw new Error('the proxy is not started; await start() first')
    return server
  }
}

/** Makes what reads the configuration, from the file or of an object; `expected` are the files that an earlier load has read. */
function createLoader (options: ProxyOptions): (object: ConfigInput | undefined, expected?: readonly string[]) => LoadResult {
  const { configFile, secretsFile, listen, admin, allowExternal, env = process.env, cwd = process.cwd() } = options
  if (configFile !== undefined && options.config !== undefined) {
    throw new TypeError('createProxy takes either configFile or config, not both')
  }
  return (object, expected) => loadConfig({
    env,
    cwd,
    options: { config: configFile, secrets: secretsFile, listen, admin, allowExternal },
    ...(object !== undefined && { object }),
    ...(expected !== undefined && { expected })
  })
}

function required (loaded: LoadResult): Extract<LoadResult, { readonly ok: true }> {
  if (!loaded.ok) throw new ConfigError(loaded.problems)
  return loaded
}

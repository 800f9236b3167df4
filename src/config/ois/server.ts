import { isLoopbackHost } from '../../http/address.ts'
import type { Path, Reporter } from '../problem.ts'
import { readBaseUrl } from '../route/base-url.ts'
import { readPart, valueAt } from '../shape.ts'
import { ApiSpecificationsSchema, ServerSchema } from './schema.ts'

/** The server of an OIS. */
export interface OisServer {
  /** Its base URL; undefined where the server has errors. */
  readonly upstream: string | undefined
  readonly upstreamPath: Path
  /** Whether the upstream is `http:` to another machine, which a route has to allow. */
  readonly insecure: boolean
}

/** Resolves the one server of an `apiSpecifications`, and reports where there is none, or more. */
export function resolveServer (specification: object, path: Path, reporter: Reporter): OisServer {
  const serversPath = [...path, 'servers']
  const upstreamPath = [...serversPath, 0, 'url']
  const none = { upstream: undefined, upstreamPath, insecure: false }
  const servers = readPart(ApiSpecificationsSchema.shape.servers, valueAt(specification, ['servers']))
  if (servers === undefined) {
    if (!Object.hasOwn(specification, 'servers')) {
      reporter.error(serversPath, 'is missing, so there is no upstream; add it, [{ "url": "https://…" }]')
    }
    return none
  }
  if (servers.length !== 1) {
    reporter.error(
      servers.length === 0 ? serversPath : [...serversPath, 1],
      servers.length === 0
        ? 'is empty, so there is no upstream; add one, { "url": "https://…" }'
        : 'is one server too many, since a route has one upstream; keep one, and write an OIS for each other'
    )
    return none
  }
  const server = readPart(ServerSchema, valueAt(specification, ['servers', 0]))
  if (server === undefined) return none
  const result = readBaseUrl(server.url, true, '')
  if (!result.ok) {
    reporter.error(upstreamPath, result.problem)
    return none
  }
  const { protocol, hostname } = new URL(result.url)
  return { upstream: result.url, upstreamPath, insecure: protocol === 'http:' && !isLoopbackHost(hostname) }
}

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../../scripts/compile.js'
import { startProcess } from '../process.js'
import { packageVersion, peerVersion } from './peers.js'

export const MINIMAL = 'node:http + undici'
export const BARE = 'bare @fastify/http-proxy'

const dependency = (name) => packageVersion(join(ROOT, 'node_modules', name))

/** The proxies on Node, each a file in `node/`. */
export const onNode = [
  create(MINIMAL, 'undici', () => dependency('undici')),
  create(BARE, 'fastify-http-proxy', () => dependency('@fastify/http-proxy')),
  ...['http-proxy', 'httpxy', 'fast-proxy'].map((name) => create(name, name, () => peerVersion(name)))
]

function create (name, file, version) {
  const script = fileURLToPath(new URL(`node/${file}.js`, import.meta.url))
  return {
    name,
    onNode: true,
    version,
    start: ({ node, env, origin, token, prefixes = ['/api'] }) =>
      startProcess(node, [script, JSON.stringify({ origin, token, prefixes })], { env })
  }
}

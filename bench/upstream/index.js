/** The upstreams that the proxies forward to, in processes of their own. */
import { writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nginx, startNginx } from '../contenders/nginx.js'
import { startProcess } from '../process.js'

const SERVER = fileURLToPath(new URL('server.js', import.meta.url))
const IDENTITY = fileURLToPath(new URL('identity.js', import.meta.url))

/** The upstream of small requests: nginx, which costs the machine least, or one on Node where there is none. */
export async function startUpstream ({ node, folder }) {
  if (nginx.version() === undefined) return startNodeUpstream({ node })
  writeFileSync(join(folder, '64k'), Buffer.alloc(64 * 1024, 'x'))
  return startNginx(folder, (port) => `
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${folder};
    open_file_cache max=10;
    default_type application/json;
    location / { return 200 '{"answer": 42 }'; }
    location = /64k { }
  }`)
}

/** The upstream of streams: nginx answers an upload before it has read it. */
export function startNodeUpstream ({ node }) {
  return startProcess(node, [SERVER])
}

/**
 * Cognito with so many users, and a token endpoint: `{ cognito, tokenUrl }` in `said`. It would run elsewhere, so it takes only
 * what the others leave of this machine.
 */
export async function startIdentityProvider ({ node }, users = 0) {
  const provider = await startProcess(node, [IDENTITY, String(users)])
  setPriority(provider.pid, constants.priority.PRIORITY_LOW)
  return provider
}

export function originOf ({ said }) {
  return `127.0.0.1:${said.port}`
}

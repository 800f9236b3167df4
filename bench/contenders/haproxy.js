import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess } from '../process.js'
import { versionOf } from './version.js'

/** HAProxy as a reverse proxy: one thread, every upstream connection free for any request. */
export const haproxy = {
  name: 'HAProxy',
  version: () => versionOf('haproxy', ['-v'], /version (\S+)/),
  async start ({ origin, token, folder }) {
    const port = await freePort()
    const file = join(folder, `haproxy-${port}.cfg`)
    writeFileSync(file, `
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
frontend callers
  bind 127.0.0.1:${port} backlog 4096
  default_backend bench
backend bench
  http-reuse always
  http-request replace-path /api(/.*) \\1
  http-request set-header Authorization "Bearer ${token}"
  server upstream ${origin} pool-max-conn 256
`)
    return startProcess('haproxy', ['-db', '-f', file], { port })
  }
}

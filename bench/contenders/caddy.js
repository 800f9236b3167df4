import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess } from '../process.js'
import { versionOf } from './version.js'

/** Caddy as a reverse proxy, with as many idle upstream connections as there are callers. */
export const caddy = {
  name: 'Caddy',
  version: () => versionOf('caddy', ['version'], /(\d+\.\S+)/),
  async start ({ origin, token, folder }) {
    const port = await freePort()
    const file = join(folder, `Caddyfile-${port}`)
    writeFileSync(file, `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  handle_path /api/* {
    reverse_proxy ${origin} {
      header_up Authorization "Bearer ${token}"
      transport http {
        keepalive_idle_conns_per_host 256
      }
    }
  }
}
`)
    return startProcess('caddy', ['run', '--adapter', 'caddyfile', '--config', file], {
      port,
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    })
  }
}

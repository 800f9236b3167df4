import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess } from '../process.js'
import { versionOf } from './version.js'

/** nginx as a reverse proxy: one process, keep-alive to both sides, nothing buffered on disk. */
export const nginx = {
  name: 'nginx',
  version: () => versionOf('nginx', ['-v'], /nginx\/(\S+)/),
  start: ({ origin, token, folder }) => startNginx(folder, (port) => `
  upstream bench {
    server ${origin};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /api/ {
      proxy_pass http://bench/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${token}";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }`)
}

/** Starts an nginx with what stands in its `http` block, which is made for a port. */
export async function startNginx (folder, http) {
  const port = await freePort()
  const file = join(folder, `nginx-${port}.conf`)
  writeFileSync(file, `
daemon off;
master_process off;
pid ${folder}/nginx-${port}.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_max_body_size 0;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/nginx-${port}-${kind};`).join('\n  ')}
${http(port)}
}
`)
  return startProcess('nginx', ['-p', folder, '-c', file], { port })
}

/**
 * Idle sockets (R1): thousands of connections that send nothing, or half a header. They must cost memory only, never the
 * time of those who work, and over limits.connections the next one hears so at once.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { OK, startUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { readOpenFileLimit } from '#src/listen/open-files.ts'

const IDLE = 5000
// Both processes have a descriptor for each of them.
const skip = (readOpenFileLimit() ?? Infinity) < IDLE + 3000 ? 'ulimit -n is too low' : false

t.test(`${IDLE} idle sockets, and others are served as before`, { skip }, async (t) => {
  const upstream = await startUpstream(t, { respond: () => OK })
  const folder = temporaryFolder(t)
  const file = join(folder, 'countersign.jsonc')
  writeFileSync(
    file,
    `{ "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "accessLog": false, "limits": { "connections": ${IDLE + 1}, "requests": 100 },
    "routes": [{ "prefix": "/", "upstream": "${upstream.origin}" }] }`
  )
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  const [port, adminPort] = [address, admin].map((text) => Number(String(text).split(':').at(-1))) as [number, number]
  const get = message('GET / HTTP/1.1', [`Host: 127.0.0.1:${port}`])

  const worker = await connectRaw(port)
  const work = async (): Promise<number> => {
    const since = performance.now()
    for (let turn = 0; turn < 100; turn++) {
      worker.send(get)
      if ((await worker.response()).statusCode !== 200) t.fail('not served')
    }
    return (performance.now() - since) / 100
  }
  await work()
  const alone = await work()
  const idle = []
  while (idle.length < IDLE) idle.push(...await Promise.all(Array.from({ length: 250 }, () => connectRaw(port))))
  for (const [index, client] of idle.entries()) if (index % 2 === 0) client.send('GET / HTTP/1.1\r\nHost: ')
  const crowded = await work()
  t.comment(`${alone.toFixed(2)} ms a request alone, ${crowded.toFixed(2)} ms among ${IDLE} idle sockets`)
  t.ok(crowded < alone * 5 + 20, `${alone} ms, then ${crowded} ms`)
  const over = await rawRequest(port, get)
  t.match(over, { statusCode: 503, text: /CS_OVERLOADED/ })
  t.match(over.header('retry-after'), /^\d+$/)
  t.match(
    await rawRequest(adminPort, message('GET /ready HTTP/1.1', [`Host: 127.0.0.1:${adminPort}`])),
    { statusCode: 200 },
    'probes are served'
  )
  for (const client of [worker, ...idle]) client.destroy()
})

/**
 * `limits.headerBytes` from the configuration file to the listeners, across a reload.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

t.test('the longest header is 32,768 bytes, or what the configuration says', async (t) => {
  const upstream = await startUpstream(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'countersign.jsonc')
  const configure = (limits: string): void => {
    writeFileSync(
      file,
      `{ "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", ${limits} "routes": [{ "prefix": "/", "upstream": "${upstream.origin}" }] }`
    )
  }
  configure('')
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  const ask = async (place: unknown, path: string, bytes: number): Promise<readonly [status: number, code: string]> => {
    const port = Number(String(place).split(':').at(-1))
    const response = await rawRequest(port, message(`GET ${path} HTTP/1.1`, [`Host: 127.0.0.1:${port}`, `X-Filler: ${'a'.repeat(bytes)}`]))
    return [response.statusCode, /"code":"(\w+)"/.exec(response.text)?.[1] ?? '']
  }
  for (const [place, path] of [[address, '/x'], [admin, '/live']]) {
    t.same(await ask(place, String(path), 32_000), [200, ''])
    t.same(await ask(place, String(path), 33_000), [431, 'CS_HEADERS_TOO_LARGE'])
  }
  configure('"limits": { "headerBytes": 50000 },')
  daemon.kill('SIGHUP')
  await daemon.line('configuration reloaded')
  t.same(await ask(address, '/x', 49_000), [200, ''])
  t.same(await ask(address, '/x', 51_000), [431, 'CS_HEADERS_TOO_LARGE'])
  t.equal(upstream.last.header('x-filler')?.length, 49_000)
})

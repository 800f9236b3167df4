/**
 * Metrics without end (L3): a label whose value a client chooses makes a new series for each request, until the memory of
 * whoever collects them is full.
 */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { connectRaw, message } from '../helpers/raw-client.ts'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'

const REQUESTS = 10_000

t.test(`${REQUESTS} random paths, methods, agents and hosts add no series`, async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    config: { accessLog: false },
    routes: [{ prefix: '/api', upstream: upstream.origin, bindings: [BEARER] }]
  })
  const series = async (): Promise<string[]> =>
    (await proxy.scrape())
      .split('\n')
      .filter((line) => line.startsWith('countersign_'))
      .map((line) => line.replace(/ \S+$/, ''))
      .sort()
  const noise = async (count: number): Promise<void> => {
    const client = await connectRaw(proxy.port)
    for (let index = 0; index < count; index++) {
      const word = randomBytes(6).toString('hex')
      const method = ['GET', 'POST', 'PROPFIND', 'MKCOL', 'REPORT', 'PURGE'][index % 6] ?? 'GET'
      const target = [`/api/${word}`, `/${word}`, `/api/../${word}`, `/%2e%2e/${word}`][Math.floor(index / 6) % 4] ?? '/'
      const host = index % 50 === 49 ? `${word}.example` : `localhost:${proxy.port}`
      client.send(
        message(`${method} ${target}?${word} HTTP/1.1`, [
          `Host: ${host}`,
          `User-Agent: ${word}`,
          `X-Forwarded-For: ${word}`,
          `X-Api-Key: ${word}`
        ])
      )
      await client.response({ method })
    }
    client.destroy()
  }
  await noise(300)
  const before = await series()
  await Promise.all(Array.from({ length: 10 }, () => noise(REQUESTS / 10)))
  t.same(await series(), before)
  t.ok(before.length < 300, `${before.length} series`)
})

// Contract section 7: a scrape never holds up a request. What it writes is made while it is read, so a test that stops reading
// in the middle of one sees what the daemon does meanwhile; a unix socket holds little, where TCP would take all of it.
import t, { type Test } from 'tap'
import { startApi } from '../helpers/api.ts'
import { readExposition, valueOf } from '../helpers/exposition-reader.ts'
import { call, type PlainResponse } from '../helpers/plain-client.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { startReloadable, type Reloadable } from '../helpers/reloadable.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

interface Scene {
  readonly daemon: Reloadable
  readonly proxy: string
  readonly admin: string
  /** Writes the configuration for these prefixes, and resolves once it has taken over. */
  readonly configure: (prefixes: readonly string[]) => Promise<unknown>
  readonly scrape: (accept?: string) => Promise<PlainResponse>
}

const OPENMETRICS = 'application/openmetrics-text'
const LOST = { code: 'CS_NO_ROUTE' }

/** Starts a daemon in which every route has had a request, each with a credential of its own. */
async function start (t: Test, prefixes: readonly string[]): Promise<Scene> {
  const api = await startApi()
  t.teardown(() => api.close())
  const folder = temporaryFolder(t)
  const [proxy, admin] = [`${folder}/proxy.sock`, `${folder}/admin.sock`]
  const config = (list: readonly string[]): object => ({
    listen: `unix:${proxy}`,
    admin: `unix:${admin}`,
    credentials: Object.fromEntries(list.map((_, index) => [`c${index}`, { type: 'static', value: 'x'.repeat(20) }])),
    routes: list.map((prefix, index) => ({
      prefix,
      upstream: api.url,
      credential: `c${index}`,
      inject: [{ type: 'apiKey', in: 'header', name: 'X-Key' }]
    }))
  })
  const daemon = await startReloadable(t, config(prefixes))
  const client = await connectRaw(proxy)
  for (const prefix of prefixes) {
    client.send(message(`GET ${prefix} HTTP/1.1`, ['Host: localhost']))
    t.equal((await client.response()).statusCode, 200)
  }
  client.destroy()
  return {
    daemon,
    proxy,
    admin,
    configure: (list) => daemon.configure(config(list)),
    scrape: (accept = '*/*') => call(`unix:${admin}`, '/metrics', { headers: { accept } })
  }
}

function scrapeMessage (accept: string, method = 'GET', version = '1.1'): string {
  return message(`${method} /metrics HTTP/${version}`, ['Host: localhost', `Accept: ${accept}`])
}

interface SlowScrape {
  readonly end: () => Promise<RawResponse>
  readonly leave: () => void
}

/** Begins a scrape, and takes no more than a piece of it each second until its end is asked for: who takes nothing for 5 s is cut off. */
async function beginScrape (admin: string, accept = '*/*'): Promise<SlowScrape> {
  const client = await connectRaw(admin)
  client.send(scrapeMessage(accept))
  await client.until(({ length }) => length > 1000)
  client.pause(true)
  const stop = (): void => { client.pause(true) }
  const timer = setInterval(() => {
    client.socket.once('data', stop)
    client.pause(false)
  }, 1000)
  client.socket.once('close', () => { clearInterval(timer) })
  const leave = (): void => { client.destroy() }
  return {
    leave,
    end: async () => {
      clearInterval(timer)
      client.socket.off('data', stop)
      client.pause(false)
      try {
        return await client.response()
      } finally {
        leave()
      }
    }
  }
}

async function ask (proxy: string, path: string): Promise<number> {
  return (await rawRequest(proxy, message(`GET ${path} HTTP/1.1`, ['Host: localhost']))).statusCode
}

t.test('a thousand routes and credentials', async (t) => {
  const prefixes = Array.from({ length: 1000 }, (_, index) => `/route-${index}`)
  const { proxy, admin, scrape } = await start(t, prefixes)

  await t.test('are all there, in both forms', async (t) => {
    for (const [accept, format] of [['*/*', 'text'], [OPENMETRICS, 'openmetrics'], ['*/*', 'text']] as const) {
      const response = await scrape(accept)
      t.equal(response.status, 200)
      t.match(
        response.headers['content-type'],
        format === 'text'
          ? /^text\/plain; version=0\.0\.4; charset=utf-8$/
          : /^application\/openmetrics-text; version=1\.0\.0; charset=utf-8$/
      )
      const families = readExposition(response.body, format)
      const suffix = format === 'text' ? '_total' : ''
      for (const [name, count] of [
        [`countersign_requests${suffix}`, 1000],
        [`countersign_injected${suffix}`, 1000],
        ['countersign_request_duration_seconds', 18_000],
        ['countersign_upstream_duration_seconds', 18_000],
        ['countersign_token_expiry_timestamp_seconds', 0]
      ] as const) {
        t.equal(families.get(name)?.samples.length, count, name)
      }
      t.ok(families.has(`process_cpu_seconds${suffix}`) && families.has('nodejs_heap_size_used_bytes'))
    }
  })

  await t.test('requests are served in the middle of a scrape, which counts them', async (t) => {
    const slow = await beginScrape(admin)
    for (let count = 0; count < 10; count++) t.equal(await ask(proxy, '/nowhere'), 404)
    const { text } = await slow.end()
    t.equal(valueOf(readExposition(text, 'text'), 'countersign_requests_refused_total', LOST), 10)
  })

  await t.test('scrapes at once do not hold each other up, and requests go on', async (t) => {
    const standing = await beginScrape(admin)
    const scrapes = Promise.all(Array.from({ length: 6 }, (_, index) => scrape(index % 2 === 0 ? '*/*' : OPENMETRICS)))
    t.equal(await ask(proxy, '/route-1'), 200)
    for (const [index, { body }] of (await scrapes).entries()) readExposition(body, index % 2 === 0 ? 'text' : 'openmetrics')
    standing.leave()
  })

  await t.test('a client that leaves in the middle leaves nothing behind', async (t) => {
    const sockets = async (): Promise<number> =>
      valueOf(readExposition((await scrape()).body, 'text'), 'nodejs_active_handles', { type: 'Socket' }) ?? 0
    const before = await sockets()
    for (let count = 0; count < 20; count++) (await beginScrape(admin, count % 2 === 0 ? '*/*' : OPENMETRICS)).leave()
    await until('their connections to go', async () => await sockets() <= before)
    t.equal(await ask(proxy, '/route-1'), 200)
  })
})

t.test('HEAD has the fields of GET and no body, and the connection goes on', async (t) => {
  const { admin } = await start(t, ['/a'])
  const client = await connectRaw(admin)
  for (const accept of ['*/*', OPENMETRICS]) {
    client.send(scrapeMessage(accept, 'HEAD') + scrapeMessage(accept))
    const head = await client.response({ method: 'HEAD' })
    const get = await client.response()
    t.equal(head.statusCode, 200)
    const names = ({ fields }: RawResponse): string[] =>
      fields
        .map(([name]) => name.toLowerCase())
        .filter((name) => name !== 'transfer-encoding' && name !== 'content-length')
        .sort()
    t.same(names(head), names(get))
    t.equal(head.header('content-type'), get.header('content-type'))
    readExposition(get.text, accept === OPENMETRICS ? 'openmetrics' : 'text')
  }
  client.destroy()
})

t.test('a scraper of HTTP/1.0 gets all of it, without chunks', async (t) => {
  const { admin } = await start(t, ['/a'])
  const response = await rawRequest(admin, scrapeMessage(OPENMETRICS, 'GET', '1.0'))
  t.match(response, { statusCode: 200, framing: 'close' })
  t.equal(response.header('transfer-encoding'), undefined)
  readExposition(response.text, 'openmetrics')
})

t.test(
  'a reload in the middle of a scrape ends neither, counters of routes that are gone stay, and the end waits for no reader',
  async (t) => {
    // Long labels make few routes more than a socket holds.
    const prefixes = Array.from({ length: 60 }, (_, index) => `/${String(index).padEnd(1000, 'x')}`)
    const {
      daemon: { daemon },
      admin,
      configure,
      scrape,
      proxy
    } = await start(t, prefixes)
    const slow = await beginScrape(admin, OPENMETRICS)
    await configure([...prefixes.slice(30), '/new'])
    t.equal(await ask(proxy, '/new'), 200)
    const response = await slow.end()
    t.match(response, { statusCode: 200, complete: true })
    t.equal(readExposition(response.text, 'openmetrics').get('countersign_upstream_duration_seconds')?.samples.length, 60 * 18)
    t.equal(await ask(proxy, prefixes[59] ?? ''), 200)
    const families = readExposition((await scrape()).body, 'text')
    for (const [index, prefix] of [...prefixes, '/new'].entries()) {
      if (valueOf(families, 'countersign_requests_total', { route: prefix, method: 'GET', status: '2xx' }) !== (index === 59 ? 2 : 1)) {
        t.fail(prefix)
      }
    }
    t.equal(valueOf(families, 'countersign_reloads_total', { outcome: 'ok' }), 1)
    const standing = await beginScrape(admin)
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    standing.leave()
  }
)

import { writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { startReloading } from '#src/cli/reload.ts'
import { hearSignals } from '#src/cli/signals.ts'
import { loadConfig, type LoadResult } from '#src/config/load.ts'
import { createLogger } from '#src/logger.ts'
import type { RunningServer } from '#src/server.ts'
import { settle } from '../helpers/clock.ts'
import { until } from '../helpers/until.ts'

interface Scene {
  /** The server has started. */
  readonly begin: () => void
  readonly fail: () => void
  /** What the server was given to reload, in order. */
  readonly given: LoadResult[]
  /** Ends the reload under way. */
  readonly finish: () => void
  readonly logged: () => string
  readonly dir: string
}

function createScene (t: Test): Scene {
  const dir = t.testdir({ 'a.jsonc': '{}', secrets: '' })
  const given: LoadResult[] = []
  let finish = (): void => {}
  let begin = (_server: Pick<RunningServer, 'reload'>): void => {}
  let fail = (_error: Error): void => {}
  const server = new Promise<Pick<RunningServer, 'reload'>>((resolve, reject) => {
    begin = resolve
    fail = reject
  })
  server.catch(() => {})
  let logged = ''
  const log = createLogger({
    level: 'trace',
    destination: new Writable({
      write (chunk, _encoding, done) {
        logged += String(chunk)
        done()
      }
    }),
    readable: false,
    colour: false
  })
  const load = (): LoadResult => loadConfig({ env: {}, cwd: dir, options: { config: 'a.jsonc' } })
  const first = load()
  t.teardown(startReloading({ load, files: first.files, server, log, onHangUp: hearSignals().onHangUp }))
  return {
    begin: () => {
      begin({
        reload: async (loaded) => {
          given.push(loaded)
          await new Promise<void>((resolve) => { finish = resolve })
          return true
        }
      })
    },
    fail: () => { fail(new Error('cannot listen')) },
    given,
    finish: () => { finish() },
    logged: () => logged,
    dir
  }
}

async function hangUp (): Promise<void> {
  const heard = new Promise<void>((resolve) => { process.once('SIGHUP', () => { resolve() }) })
  // A signal that is awaited keeps no process alive.
  const alive = setTimeout(() => {}, 20_000)
  process.kill(process.pid, 'SIGHUP')
  await heard
  clearTimeout(alive)
  await settle()
}

t.test('what comes while the server starts is one reload afterwards', async (t) => {
  const { begin, given, finish } = createScene(t)
  await hangUp()
  await hangUp()
  t.equal(given.length, 0)
  begin()
  await settle()
  finish()
  await settle()
  t.equal(given.length, 1)
})

t.test('what comes while a reload is under way is one more', async (t) => {
  const { begin, given, finish } = createScene(t)
  begin()
  await hangUp()
  await hangUp()
  await hangUp()
  t.equal(given.length, 1)
  finish()
  await settle()
  t.equal(given.length, 2)
  finish()
  await settle()
  await hangUp()
  t.equal(given.length, 3)
  finish()
})

t.test('a server that does not start is not reloaded', async (t) => {
  const { fail, given, logged } = createScene(t)
  await hangUp()
  fail()
  await settle()
  t.equal(given.length, 0)
  t.equal(logged(), '', 'who started it tells why')
})

t.test('files that a bad configuration no longer names are watched on', async (t) => {
  const { begin, given, finish, dir } = createScene(t)
  begin()
  writeFileSync(
    `${dir}/a.jsonc`,
    '{ "credentials": { "c": { "type": "static", "value": "x" } }, "routes": [{ "prefix": "/", "upstream": "https://a.example", "credential": "c", "tls": { "ca": "missing.pem" } }] }'
  )
  await until('the bad one to be read', () => given.length === 1)
  t.match(given[0], { ok: false })
  finish()
  await settle()
  writeFileSync(`${dir}/missing.pem`, 'now it is there, though no certificate')
  await until('the file that it named to be noticed', () => given.length === 2)
  finish()
})

// What answers at the admin address may be anybody: a program that took the port first, or the wrong port (contract section 1).
import { once } from 'node:events'
import { createServer, type Socket, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { interpretCommand } from '../helpers/command.ts'
import { runCommand } from '../helpers/daemon.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

/** A server that says the same to everybody; undefined is nothing at all. */
async function startSquatter (t: Test, says: string | Buffer | undefined | ((socket: Socket) => void), end = true): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => {
      if (typeof says === 'function') says(socket)
      else if (says !== undefined) end ? socket.end(says) : socket.write(says)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const http = (body: string, head = 'HTTP/1.1 200 OK'): string =>
  `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`

const WHOLE = { version: '1.0.0', startedAt: '2026-01-01T00:00:00Z', ready: true, credentials: [], routes: [] }
const EVIL = '\u001b[2J\u009b31mSQUATTER\u202e'

t.test('what is no Countersign is said so, and nothing of it is printed', async (t) => {
  const responses: ReadonlyArray<readonly [string, string | Buffer]> = [
    ['a page', http(`<html>${EVIL}</html>`)],
    ['nothing', http('')],
    ['JSON that is no object', http(JSON.stringify(EVIL))],
    ['null', http('null')],
    ['a list', http('[]')],
    ['another object', http(JSON.stringify({ SQUATTER: EVIL }))],
    ['parts of a status', http(JSON.stringify({ ...WHOLE, credentials: [{ name: EVIL }] }))],
    ['parts of the wrong type', http(JSON.stringify({ ...WHOLE, routes: 'SQUATTER' }))],
    ['another status code', http(JSON.stringify({ ...WHOLE, version: EVIL }), `HTTP/1.1 404 ${EVIL}`)],
    ['half a response', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nSQUATTER'],
    ['no HTTP', `SSH-2.0-SQUATTER${EVIL}\r\n`],
    ['bytes', Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])],
    ['an end', ''],
    ['other protocols', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SQUATTER\r\n\r\n'],
    ['long headers', `HTTP/1.1 200 OK\r\nX: ${'SQUATTER'.repeat(10_000)}\r\n\r\n{}`]
  ]
  for (const [name, response] of responses) {
    const admin = await startSquatter(t, response)
    // The rest of them need no process to be read by.
    const run = name === 'a page' ? runCommand : interpretCommand
    const { status, stdout, stderr } = await run(['status', ...(name === 'a page' ? ['--json'] : []), '--admin', admin])
    t.equal(status, 69, name)
    t.equal(stdout, '', name)
    t.equal(stderr, `not running: what answers at ${admin} is no Countersign's admin listener; name that with --admin ADDR\n`, name)
  }
})

t.test('one that passes for a Countersign cannot act on a terminal, in either form', async (t) => {
  const admin = await startSquatter(
    t,
    http(
      JSON.stringify({
        ...WHOLE,
        version: EVIL,
        credentials: [
          {
            name: EVIL,
            type: EVIL,
            state: 'x'.repeat(100_000),
            expiresAt: EVIL,
            refreshAt: null,
            logins: 1,
            refreshes: 1,
            failures: 1,
            lastError: { code: EVIL, message: EVIL, at: EVIL }
          }
        ],
        routes: [{ prefix: EVIL, listen: EVIL, upstream: EVIL, credential: EVIL, schemes: [EVIL] }],
        [EVIL]: EVIL
      })
    )
  )
  for (const args of [[], ['--json']]) {
    const { status, stdout } = await interpretCommand(['status', '--admin', admin, ...args])
    t.equal(status, 0)
    // eslint-disable-next-line no-control-regex -- the very thing to find
    t.notMatch(stdout.replaceAll('\n', ''), /[\0-\x1f\x7f-\x9f\u202a-\u202e]/)
    t.match(stdout, 'SQUATTER')
    if (args.length > 0) t.match(JSON.parse(stdout), { version: EVIL }, 'a program reads it as it was')
    else t.ok(stdout.length < 5000, 'and no cell fills the terminal')
  }
})

t.test('one that says nothing, or never ends, is given up', async (t) => {
  const endless = (socket: Socket): void => {
    const more = (): void => { while (!socket.destroyed && socket.write('x'.repeat(65_536))); }
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.on('drain', more)
    more()
  }
  const silent = await startSquatter(t, undefined)
  t.match(await interpretCommand(['status', '--admin', silent]), { status: 69, stdout: '', stderr: /does not answer in time/ })
  t.match(await interpretCommand(['wait', '--max', '300ms', '--admin', silent]), {
    status: 1,
    stderr: /^timed out: .*does not answer in time/
  })
  t.match(await runCommand(['status', '--admin', await startSquatter(t, endless)]), { status: 69, stdout: '' })
  t.match(await interpretCommand(['status', '--admin', await startSquatter(t, 'HTTP/1.1 200 OK\r\n\r\n{', false)]), {
    status: 69,
    stdout: '',
    stderr: /does not answer in time/
  })
})

t.test('wait and healthcheck do not take a stranger for the daemon', async (t) => {
  const admin = await startSquatter(t, http(EVIL))
  for (const args of [['wait', '--max', '200ms'], ['healthcheck']]) {
    // The last time that `wait` asks may be too short for a busy machine.
    const { status, stdout, stderr } = await until('a response in time', async () => {
      const result = await runCommand([...args, '--admin', admin])
      return !result.stderr.includes('does not answer in time') && result
    })
    t.equal(status, 1)
    t.notMatch(stdout + stderr, /SQUATTER/)
    t.match(stderr, /is no Countersign's admin listener/)
  }
})

t.test('the proxy\'s own listener is known by its code', async (t) => {
  const proxy = await startSquatter(
    t,
    http(JSON.stringify({ statusCode: 404, code: 'CS_NO_ROUTE', error: 'Not Found', message: EVIL }), 'HTTP/1.1 404 Not Found')
  )
  t.match(await interpretCommand(['status', '--admin', proxy]), {
    status: 69,
    stdout: '',
    stderr: `not running: ${proxy} answers CS_NO_ROUTE; is this the admin address (--admin ADDR)?\n`
  })
  t.match(await interpretCommand(['status', '--admin', `unix:${temporaryFolder(t)}/none`]), { status: 69, stderr: /nothing answers at/ })
})

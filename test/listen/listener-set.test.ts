import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { formatAddress, parseAddress, type Address } from '#src/http/address.ts'
import { ListenerSet, type ListenerBinding } from '#src/listen/listener-set.ts'
import type { Handler } from '#src/listen/service.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { call } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

function address (text: string): Address {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

/** A handler that answers with its name. */
function named (name: string): Handler {
  return (_message, response) => { response.end(name) }
}

function listenerBinding (role: ListenerBinding['role'], where: string, name: string): ListenerBinding {
  return { role, address: address(where), handle: named(name) }
}

interface Scene {
  readonly listeners: ListenerSet
  /** Carries a change out; the real addresses as text. */
  readonly change: (listenerBindings: readonly ListenerBinding[], maxConnections?: number) => Promise<string[]>
}

function createScene (t: Test): Scene {
  const listeners = new ListenerSet()
  t.teardown(() => listeners.close())
  return {
    listeners,
    change: async (listenerBindings, maxConnections = 100) => {
      const { addresses, commit } = await listeners.prepare(listenerBindings, maxConnections)
      commit()
      return addresses.map(formatAddress)
    }
  }
}

async function bodyAt (where: string | undefined): Promise<string> {
  return (await call(where, '/')).body
}

async function untilClosed (where: string | undefined): Promise<void> {
  await until('a listener to close', () => call(where, '/').then(() => false, () => true))
}

t.test('free ports are kept by whoever has the same role, also where it is named by its number now', async (t) => {
  const { change } = createScene(t)
  const free = '127.0.0.1:0'
  const before = await change([
    listenerBinding('proxy', free, 'p1'),
    listenerBinding('route', free, 'r1'),
    listenerBinding('admin', free, 'a1')
  ])
  t.equal(new Set(before).size, 3)
  const after = await change([
    listenerBinding('proxy', free, 'p2'),
    listenerBinding('route', free, 'r2'),
    listenerBinding('admin', free, 'a2')
  ])
  t.same(after, before)
  t.same(await Promise.all(after.map(bodyAt)), ['p2', 'r2', 'a2'])

  const [proxy = '', route = '', admin = ''] = before
  t.same(
    await change([
      listenerBinding('proxy', route, 'p3'),
      listenerBinding('route', proxy.replace('127.0.0.1', 'localhost'), 'r3'),
      listenerBinding('admin', admin, 'a3')
    ]),
    [route, proxy, admin],
    'fixed ports may be exchanged between proxy and routes'
  )
  t.same(await Promise.all([route, proxy, admin].map(bodyAt)), ['p3', 'r3', 'a3'])

  const [moved] = await change([listenerBinding('proxy', free, 'p4')])
  t.notOk(before.includes(moved ?? ''), 'a free port is not one that another listener binding has left')
  for (const closed of before) await untilClosed(closed)
})

t.test('nothing changes before commit, and what was opened for nothing is closed again', async (t) => {
  const { listeners, change } = createScene(t)
  const [first] = await change([listenerBinding('proxy', '127.0.0.1:0', 'one')])
  const socket = `unix:${temporaryFolder(t)}/s`
  const prepared = await listeners.prepare([listenerBinding('proxy', '127.0.0.1:0', 'two'), listenerBinding('route', socket, 'two')], 100)
  t.equal(await bodyAt(first), 'one')
  t.equal(await bodyAt(socket), 'two')
  await prepared.abandon()
  t.notOk(existsSync(socket.slice(5)))
  t.equal(await bodyAt(first), 'one')

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as AddressInfo // a TCP server that listens
  await t.rejects(
    listeners.prepare(
      [
        listenerBinding('proxy', '127.0.0.1:0', 'three'),
        listenerBinding('route', socket, 'three'),
        listenerBinding('admin', `127.0.0.1:${port}`, 'three')
      ],
      100
    ),
    { name: 'ListenError' }
  )
  t.notOk(existsSync(socket.slice(5)))
  t.equal(await bodyAt(first), 'one')
})

t.test('a listener that is removed finishes what it has; the end does not wait for it longer than it is told', async (t) => {
  const { listeners, change } = createScene(t)
  const open: ServerResponse[] = []
  const slow: Handler = (_message, response) => {
    response.write('first ')
    open.push(response)
  }
  const where = address('127.0.0.1:0')
  const [proxy, route] = await change([listenerBinding('proxy', '127.0.0.1:0', 'p'), { role: 'route', address: where, handle: slow }])
  const responses = [call(route, '/'), call(route, '/')]
  await until('two responses to begin', () => open.length === 2)
  t.same(await change([listenerBinding('proxy', '127.0.0.1:0', 'p2')]), [proxy])
  await untilClosed(route)
  open[0]?.end('last')
  t.equal((await Promise.race(responses)).body, 'first last')
  const cut = t.rejects(Promise.all(responses))
  await listeners.drainProxy(100)
  await cut
  await t.rejects(bodyAt(proxy))
})

const IPV6 = { skip: Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1') ? false : 'no ::1' }

t.test('an address that becomes localhost, or is a part of it from now on, keeps what stays and drops no request', IPV6, async (t) => {
  const { change } = createScene(t)
  const served = async (port: string, names: Record<string, string | undefined>): Promise<void> => {
    for (const [host, name] of Object.entries(names)) {
      if (name === undefined) await t.rejects(bodyAt(`${host}:${port}`), { code: 'ECONNREFUSED' }, host)
      else t.equal(await bodyAt(`${host}:${port}`), name, host)
    }
  }
  for (const role of ['proxy', 'admin'] as const) {
    for (const [host, other] of [['127.0.0.1', '[::1]'], ['[::1]', '127.0.0.1']] as const) {
      const [first = ''] = await change([listenerBinding(role, `${host}:0`, 'one')])
      const port = first.split(':').pop() ?? ''
      await served(port, { [host]: 'one', [other]: undefined })
      t.same(await change([listenerBinding(role, `localhost:${port}`, 'both')]), [`127.0.0.1:${port}`])
      await served(port, { [host]: 'both', [other]: 'both' })
      t.same(await change([listenerBinding(role, `localhost:${port}`, 'again')]), [`127.0.0.1:${port}`])
      await served(port, { [host]: 'again', [other]: 'again' })
      t.same(await change([listenerBinding(role, `${other}:${port}`, 'other')]), [`${other}:${port}`])
      await served(port, { [host]: undefined, [other]: 'other' })
      t.same(await change([listenerBinding(role, `localhost:${port}`, 'both')]), [`127.0.0.1:${port}`])
      await served(port, { [host]: 'both', [other]: 'both' })
      await change([])
      await untilClosed(`${host}:${port}`)
      await untilClosed(`${other}:${port}`)
    }
  }
})

t.test('a connection to the part that goes finishes what it has, and ends then', IPV6, async (t) => {
  const { change } = createScene(t)
  let answer: ServerResponse | undefined
  const slow: Handler = (_message, response) => { answer = response }
  const [first = ''] = await change([{ role: 'proxy', address: address('localhost:0'), handle: slow }])
  const port = first.split(':').pop() ?? ''
  const idle = await connectRaw(Number(port), '::1')
  const busy = await connectRaw(Number(port), '::1')
  const stays = await connectRaw(Number(port), '127.0.0.1')
  busy.send(`GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
  await until('a request', () => answer)
  await change([listenerBinding('proxy', `127.0.0.1:${port}`, 'new')])
  await idle.closed()
  answer?.end('old')
  t.match(await busy.response(), { text: 'old', statusCode: 200 })
  await busy.closed()
  stays.send(`GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
  t.match(await stays.response(), { text: 'new' })
  stays.destroy()
})

t.test('where the other half is taken nothing changes, and what was opened for nothing is closed again', IPV6, async (t) => {
  const { change, listeners } = createScene(t)
  const [first = ''] = await change([listenerBinding('proxy', '127.0.0.1:0', 'one')])
  const port = Number(first.split(':').pop())
  const taken = createServer().listen({ port, host: '::1' })
  await once(taken, 'listening')
  await t.rejects(listeners.prepare([listenerBinding('proxy', `localhost:${port}`, 'two')], 100), {
    name: 'ListenError',
    message: /something else listens there/
  })
  t.equal(await bodyAt(first), 'one')
  taken.close()
  await once(taken, 'close')
  const prepared = await listeners.prepare([listenerBinding('proxy', `localhost:${port}`, 'two')], 100)
  t.equal(await bodyAt(`[::1]:${port}`), 'one', 'served by the old one before commit')
  await prepared.abandon()
  await t.rejects(bodyAt(`[::1]:${port}`), { code: 'ECONNREFUSED' })
  t.equal(await bodyAt(first), 'one')
})

t.test('the limit of connections is the new one\'s, and is shared by all that are no admin', async (t) => {
  const { change } = createScene(t)
  const hold: Handler = (_message, response) => { response.flushHeaders() }
  const listenerBindings = [
    { role: 'proxy', address: address('127.0.0.1:0'), handle: hold } as const,
    listenerBinding('route', '127.0.0.1:0', 'r'),
    listenerBinding('admin', '127.0.0.1:0', 'a')
  ]
  const [proxy, route, admin] = await change(listenerBindings)
  call(proxy, '/').catch(() => {})
  t.equal(await bodyAt(route), 'r')
  await change(listenerBindings, 1)
  t.match(await call(route, '/'), { status: 503, body: /CS_OVERLOADED/ })
  t.equal(await bodyAt(admin), 'a')
  await change(listenerBindings, 2)
  t.equal(await bodyAt(route), 'r')
})

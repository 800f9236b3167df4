import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type AddressInfo, type LookupFunction, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { connectUpstream } from '#src/upstream/connect.ts'
import { dial } from '#src/upstream/dial.ts'
import { ask } from '../helpers/ask.ts'
import { startForwardProxy } from '../helpers/forward-proxy.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'
import { startSlowAddress } from '../helpers/slow-address.ts'

const LINUX = { skip: process.platform === 'linux' ? false : 'only Linux drops what a full queue cannot take, and has all of 127.0.0.0/8' }
const never = new AbortController().signal

t.test('the first address is slow and the second fails: the first goes on, and is taken once it answers', LINUX, async (t) => {
  const upstream = await startUpstream(t)
  const slow = await startSlowAddress(t, '127.0.0.2', upstream.port)
  // Nobody listens on that address and port; the attempt fails at once.
  const second = secondFails()
  const socket = dial({ host: 'x.example', port: slow.port }, { signal: never, lookup: resolving('127.0.0.2', '127.0.0.3', '::1') })
  await second
  slow.goOn()
  t.equal((await closing(t, socket)).remoteAddress, '127.0.0.2')
})

t.test('the first address is slow and the second responses: the second is taken, the first given up', LINUX, async (t) => {
  const upstream = await startUpstream(t)
  const slow = await startSlowAddress(t, '127.0.0.2', upstream.port)
  const quick = await listen(t, '127.0.0.3', slow.port)
  const socket = await closing(
    t,
    dial({ host: 'x.example', port: slow.port }, { signal: never, lookup: resolving('127.0.0.2', '127.0.0.3') })
  )
  t.equal(socket.remoteAddress, '127.0.0.3')
  t.equal(quick.taken.length, 1)
})

t.test(
  'addresses that fail are followed at once, by one of the other family',
  { skip: hasIPv6() ? false : 'this machine has no IPv6' },
  async (t) => {
    const { port } = await listen(t, '::1')
    await listen(t, '127.0.0.1', port)
    const socket = await closing(
      t,
      dial({ host: 'x.example', port }, { signal: never, lookup: resolving('127.0.0.4', '127.0.0.1', '::1') })
    )
    t.equal(socket.remoteAddress, '::1')
  }
)

t.test('where no address answers, the error is the one that tells most', async (t) => {
  const server = await listen(t, '127.0.0.1')
  await server.close()
  const error: unknown = await dial(
    { host: 'x.example', port: server.port },
    { signal: never, lookup: resolving('ff0e::1', '127.0.0.1') }
  ).catch((error: unknown) => error)
  t.type(error, AggregateError)
  t.match(error, { errors: [{ code: 'ECONNREFUSED' }, {}] })
  await t.rejects(dial({ host: '127.0.0.1', port: server.port }, { signal: never }), { code: 'ECONNREFUSED' })
  await t.rejects(dial({ host: 'nowhere.invalid', port: 1 }, { signal: never }), { code: /ENOTFOUND|EAI_AGAIN/ })
  await t.rejects(dial({ host: 'x.example', port: 1 }, { signal: never, lookup: resolving() }), { code: 'ENOTFOUND' })
})

t.test('an abort ends the lookup and every attempt', LINUX, async (t) => {
  const upstream = await startUpstream(t)
  const slow = await startSlowAddress(t, '127.0.0.2', upstream.port)
  const reason = new Error('enough')
  for (const lookup of [resolving('127.0.0.2', '127.0.0.3'), (() => {}) as LookupFunction]) {
    const controller = new AbortController()
    const dialled = dial({ host: 'x.example', port: slow.port }, { signal: controller.signal, lookup })
    setImmediate(() => { controller.abort(reason) })
    await t.rejects(dialled, reason)
  }
  await t.rejects(dial({ host: '127.0.0.1', port: 1 }, { signal: AbortSignal.abort(reason) }), reason)
})

t.test('a lookup that gives one address is as good', async (t) => {
  const { port } = await listen(t, '127.0.0.1')
  const lookup: LookupFunction = (_name, _options, done) => { done(null, '127.0.0.1', 4) }
  t.equal((await closing(t, dial({ host: 'x.example', port }, { signal: never, lookup }))).remoteAddress, '127.0.0.1')
})

t.test('an upstream, and a forward proxy, with a slow first address and a second that fails is reached', LINUX, async (t) => {
  const upstream = await startUpstream(t)
  const forward = await startForwardProxy(t, { to: upstream.port })
  for (const [port, proxied] of [[upstream.port, false], [forward.port, true]] as const) {
    const slow = await startSlowAddress(t, '127.0.0.2', port)
    const origin = proxied ? 'http://x.example' : `http://x.example:${slow.port}`
    const dispatcher = connectUpstream({
      origin,
      timeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      lookup: resolving('127.0.0.2', '127.0.0.3'),
      proxies: proxied ? { httpProxy: `http://proxy.example:${slow.port}` } : {}
    })
    const second = secondFails()
    const response = ask(dispatcher)
    await second
    slow.goOn()
    t.equal((await response).head.statusCode, 200)
    await dispatcher.destroy()
  }
  t.same(forward.targets, ['x.example:80'])
})

/** A resolver that knows these addresses, in this order. */
function resolving (...addresses: readonly string[]): LookupFunction {
  return (_name, _options, done) => { done(null, addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))) }
}

/** Resolves once the second of the connections that are begun from now on has failed; the first has waited its 250 ms by then. */
async function secondFails (): Promise<void> {
  let begun = 0
  let onBegun = (_message: unknown): void => {}
  await new Promise<void>((resolve) => {
    onBegun = (message) => { if (++begun === 2) (message as { socket: Socket }).socket.once('close', () => { resolve() }) }
    subscribe('net.client.socket', onBegun)
  })
  unsubscribe('net.client.socket', onBegun)
}

function hasIPv6 (): boolean {
  return Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1')
}

async function closing (t: Test, dialled: Promise<Socket>): Promise<Socket> {
  const socket = await dialled
  t.teardown(() => { socket.destroy() })
  return socket
}

async function listen (
  t: Test,
  host: string, port = 0
): Promise<{ port: number, taken: readonly Socket[], close: () => Promise<unknown> }> {
  const taken: Socket[] = []
  const server = createServer((socket) => {
    taken.push(socket.on('error', () => {}))
  })
  server.listen(port, host)
  await once(server, 'listening')
  const close = async (): Promise<unknown> => {
    if (!server.listening) return undefined
    for (const socket of taken) socket.destroy()
    const closed = once(server, 'close')
    server.close()
    return await closed
  }
  t.teardown(close)
  return { port: (server.address() as AddressInfo).port, taken, close }
}

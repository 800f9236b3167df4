/**
 * An identity provider with two addresses of which the first one drops what comes (RFC 8305): the second is tried while the
 * first attempt goes on, and whichever answers is taken. From outside, but for the resolver, which knows one name more.
 */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startCognitoEmulator } from '#src/demo/cognito-emulator.ts'
import { startDaemon } from '../helpers/daemon.ts'
import { startSlowAddress, type SlowAddress } from '../helpers/slow-address.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const LINUX = { skip: process.platform === 'linux' ? false : 'only Linux drops what a full queue cannot take, and has all of 127.0.0.0/8' }
const [FIRST, SECOND, NAME] = ['127.0.0.2', '127.0.0.3', 'idp.example']

// In every thread of the daemon: what its resolver says of the name.
const RESOLVER = `data:text/javascript,${encodeURIComponent(`
  import dns from 'node:dns'
  const { lookup } = dns
  dns.lookup = (host, options, done) => {
    if (host !== '${NAME}') return lookup(host, options, done)
    process.nextTick(done, null, ['${FIRST}', '${SECOND}'].map((address) => ({ address, family: 4 })))
  }
`)}`

/** A provider on a port of 127.0.0.1, and a credential that logs in at a URL. */
interface Provider {
  readonly port: number
  readonly credential: (url: string) => object
}

async function startOAuth2 (t: Test): Promise<Provider> {
  const server = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      response.end(JSON.stringify({ access_token: 'x', token_type: 'bearer', expires_in: 3600 }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    credential: (tokenUrl) => ({ type: 'oauth2', tokenUrl, clientId: 'c', clientSecret: 's' })
  }
}

async function startCognito (t: Test): Promise<Provider> {
  const emulator = await startCognitoEmulator({
    pools: [{ id: 'eu-west-1_P', clients: [{ id: 'c' }], users: [{ username: 'u', password: 'p' }] }]
  })
  t.teardown(() => emulator.close())
  return {
    port: Number(new URL(emulator.url).port),
    credential: (endpoint) => ({ type: 'cognito', userPoolId: 'eu-west-1_P', clientId: 'c', username: 'u', password: 'p', endpoint })
  }
}

/** Hands what comes to a port of the second address to one of 127.0.0.1. */
async function relay (t: Test, port: number, to: number): Promise<void> {
  const server = createServer((socket) => {
    const behind = connect(to, '127.0.0.1').on('error', () => { socket.destroy() })
    socket.on('error', () => { behind.destroy() }).pipe(behind).pipe(socket)
  })
  server.listen(port, SECOND)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
}

/** Whether a connection to a port is being tried, and not answered. */
function isTried (port: number): boolean {
  const wanted = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} 02 `)
  return wanted.test(readFileSync('/proc/net/tcp', 'latin1'))
}

for (const [name, start] of [['OAuth 2.0', startOAuth2], ['Cognito', startCognito]] as const) {
  const begin = async (t: Test, ways: (slow: SlowAddress, provider: Provider) => Promise<unknown>) => {
    const provider = await start(t)
    const slow = await startSlowAddress(t, FIRST, provider.port)
    await ways(slow, provider)
    const file = join(temporaryFolder(t), 'c.json')
    writeFileSync(
      file,
      JSON.stringify({
        listen: '127.0.0.1:0',
        admin: 'off',
        credentials: { a: { ...provider.credential(`http://${NAME}:${slow.port}`), allowInsecureEndpoint: true } },
        routes: [{ prefix: '/', upstream: 'http://127.0.0.1:1', credential: 'a' }]
      })
    )
    const daemon = startDaemon(['-c', file], { node: ['--import', RESOLVER] })
    t.teardown(async () => {
      daemon.kill('SIGKILL')
      await daemon.exit
    })
    return { daemon, slow }
  }

  t.test(`${name}: the first address never answers, the second works`, LINUX, async (t) => {
    const { daemon, slow } = await begin(t, (slow, { port }) => relay(t, slow.port, port))
    await daemon.line('token fetched')
    await daemon.line('ready')
    t.notOk(daemon.lines().some(({ level }) => level === 'warn' || level === 'error'), 'at the first try')
    t.notOk(isTried(slow.port), 'the other attempt was given up')
  })

  t.test(`${name}: the first address answers late, and nobody is on the second`, LINUX, async (t) => {
    const { daemon, slow } = await begin(t, async () => {})
    await until('a dropped attempt', () => isTried(slow.port))
    slow.goOn()
    await daemon.line('ready')
    t.notOk(daemon.lines().some(({ level }) => level === 'warn' || level === 'error'), 'at the first try')
  })
}

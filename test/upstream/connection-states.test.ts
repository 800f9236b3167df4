/**
 * A scripted upstream in every state that a connection can be in, and at each of them a close, a reset, silence, and a client
 * that leaves: behind each, requests of other clients get their own response and nobody else's, and every request is told
 * exactly one end.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { connectUpstream } from '#src/upstream/connect.ts'
import type { Pool } from '#src/upstream/pool.ts'
import type { UpstreamRequest } from '#src/upstream/sender.ts'
import { ask, send, type Listener } from '../helpers/ask.ts'
import { createAuthority } from '../helpers/certificates.ts'

const authority = createAuthority()
const certificate = authority.issue({ names: ['127.0.0.1'] })

/** What the upstream sends for a request; `ID` is its mark. */
const STAGES = {
  'says nothing': '',
  'half a status line': 'HTTP/1.1 20',
  'half a header': 'HTTP/1.1 200 OK\r\nX-Mark: I',
  'an interim response': 'HTTP/1.1 103 Hints\r\nX-Mark: ID\r\n\r\n',
  'a 100': 'HTTP/1.1 100 Continue\r\n\r\n',
  'the head': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nContent-Length: 5\r\n\r\n',
  'half a body': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nContent-Length: 5\r\n\r\nab',
  'half a chunk': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
  'chunks without a last one': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n',
  'half the trailers': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n',
  'a body to the end': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\n\r\nab',
  'all of it': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nContent-Length: 2\r\n\r\nok',
  'all of it, and closes': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
  'a 304': 'HTTP/1.1 304 Not Modified\r\nX-Mark: ID\r\nContent-Length: 5\r\n\r\n',
  twice: 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Mark: POISON\r\nContent-Length: 6\r\n\r\npoison',
  'too much': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nContent-Length: 2\r\n\r\nokmore',
  'a body where none is': 'HTTP/1.1 204 No Content\r\nX-Mark: ID\r\nContent-Length: 6\r\n\r\npoison',
  nonsense: 'SSH-2.0-x\r\n',
  'a malformed head': 'HTTP/1.1 200 OK\r\nX-Mark: ID\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok',
  'a 101 nobody asked for': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\npoison'
} as const

type Stage = keyof typeof STAGES

const WHOLE: readonly Stage[] = ['all of it', 'all of it, and closes', 'a 304', 'twice', 'too much', 'a body where none is']

/** What happens once it has sent that. */
const ENDS = ['stays', 'closes', 'resets', 'client leaves', 'goes on late'] as const

const REQUESTS: ReadonlyArray<readonly [string, Partial<UpstreamRequest>]> = [
  ['GET', {}],
  ['POST', { method: 'POST', body: Buffer.from('12345'), length: 5 }],
  ['POST in chunks', { method: 'POST', body: Buffer.from('12345') }]
]

const POISON = 'HTTP/1.1 200 OK\r\nX-Mark: POISON\r\nContent-Length: 6\r\n\r\npoison'

t.test('whatever a connection goes through, the next requests get their own responses', async (t) => {
  for (const tls of [false, true]) {
    const upstream = await startScripted(t, tls)
    for (const stage of Object.keys(STAGES) as Stage[]) {
      for (const end of ENDS) {
        for (const [name, request] of tls ? REQUESTS.slice(0, 1) : REQUESTS) {
          for (const used of [false, true]) {
            const pool = upstream.connect()
            const what = `${stage}, ${end}, ${name}, ${used ? 'on a used connection' : 'on a new one'}${tls ? ', TLS' : ''}`
            if (used) await isOwn(t, pool, `${what}: before`)
            const listener = send(pool, { ...request, target: `/odd?${upstream.script(stage, end)}` })
            await upstream.played(listener, end)
            if (end === 'client leaves' || (listener.ends === 0 && !WHOLE.includes(stage))) listener.transfer?.abort()
            // Of those that were not left alone, each has heard an end, and one only.
            else await listener.until(({ ends }) => ends > 0).catch(() => {})
            if (listener.head !== undefined) t.equal(markOf(listener.head.rawHeaders), upstream.mark, `${what}: its own mark`)
            t.notMatch(listener.body.toString(), 'poison', what)
            if (WHOLE.includes(stage) && end !== 'client leaves') t.same([listener.ends, listener.error], [1, undefined], `${what}: whole`)
            listener.transfer?.abort()
            listener.transfer?.pause()
            await Promise.all([isOwn(t, pool, `${what}: next`), isOwn(t, pool, `${what}: another`)])
            await isOwn(t, pool, `${what}: last`)
            t.ok(listener.ends <= 1, `${what}: ${listener.ends} ends`)
            await pool.destroy()
          }
        }
      }
    }
  }
})

t.test('an abort of a call that is over does not touch the connection that serves another', async (t) => {
  const upstream = await startScripted(t, false)
  const pool = upstream.connect()
  const first = send(pool, { target: '/own?1' })
  await first.until(({ ends }) => ends > 0)
  const second = send(pool, { target: '/slow?2' })
  await second.until(({ head }) => head !== undefined)
  t.equal(upstream.accepted(), 1, 'the same connection')
  for (let turn = 0; turn < 3; turn++) first.transfer?.abort()
  first.transfer?.pause()
  upstream.finish()
  t.equal((await second.until(({ ends }) => ends > 0)).body.toString(), 'ok')
  await pool.destroy()
})

t.test('a pool that is destroyed tells every request one end, those that still connect too', async (t) => {
  const upstream = await startScripted(t, false)
  const pool = upstream.connect()
  const under = send(pool, { target: '/slow?1' })
  await under.until(({ head }) => head !== undefined)
  const connecting = send(pool, { target: '/own?2' })
  await pool.destroy()
  for (const listener of [under, connecting]) {
    await listener.until(({ ends }) => ends > 0)
    t.match([listener.ends, listener.error?.name], [1, 'ProxyError'])
  }
  await t.rejects(ask(pool), { name: 'ProxyError' }, 'and none is taken')
})

t.test('an upstream that refuses, once, costs only the request that met it', async (t) => {
  const upstream = await startScripted(t, false)
  const pool = upstream.connect()
  await upstream.close()
  await t.rejects(ask(pool, { target: '/own?1' }), { code: 'ECONNREFUSED' })
  await pool.destroy()
})

let newest = 0

async function isOwn (t: Test, pool: Pool, what: string): Promise<void> {
  const mark = `own${++newest}`
  const { head, body } = await ask(pool, { target: `/own?${mark}` })
  t.same([markOf(head.rawHeaders), body.toString()], [mark, 'ok'], what)
}

function markOf (rawHeaders: readonly string[]): string | undefined {
  return rawHeaders[rawHeaders.indexOf('X-Mark') + 1]
}

interface Scripted {
  readonly connect: () => Pool
  /** Sets what becomes of the next odd request; returns its mark. */
  readonly script: (stage: Stage, end: typeof ENDS[number]) => string
  readonly mark: string
  /** Resolves once all of the script has been sent, and has arrived as far as that can be known. */
  readonly played: (listener: Listener, end: typeof ENDS[number]) => Promise<void>
  /** Ends slow responses. */
  readonly finish: () => void
  readonly accepted: () => number
  readonly close: () => Promise<void>
}

async function startScripted (t: Test, tls: boolean): Promise<Scripted> {
  let current: { readonly mark: string, readonly stage: Stage, readonly end: typeof ENDS[number] } | undefined
  let played = (): void => {}
  let done: Promise<void> = Promise.resolve()
  let finish = (): void => {}
  let accepted = 0
  const sockets = new Set<Socket>()
  const accept = (socket: Socket): void => {
    accepted++
    // Else what comes late waits for an acknowledgement.
    socket.setNoDelay(true)
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) }).on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (let match = REQUEST.exec(text); match !== null; match = REQUEST.exec(text)) {
        text = text.slice(match[0].length)
        const [, path = '', mark = ''] = match
        if (path === '/odd') play(socket, mark)
        else respond(socket, path, mark)
      }
    })
  }
  const respond = (socket: Socket, path: string, mark: string): void => {
    socket.write(`HTTP/1.1 200 OK\r\nX-Mark: ${mark}\r\nContent-Length: 2\r\n\r\n${path === '/slow' ? 'o' : 'ok'}`)
    if (path === '/slow') finish = () => { socket.write('k') }
  }
  const play = (socket: Socket, mark: string): void => {
    // Sent once more by us, on a new connection: it meets the same.
    if (current?.mark !== mark) throw new Error('a request of another script')
    const { stage, end } = current
    socket.write(STAGES[stage].replaceAll('ID', mark) || Buffer.alloc(0), () => {
      setImmediate(() => {
        if (end === 'closes') socket.end()
        else if (end === 'resets' && !tls) socket.resetAndDestroy()
        else if (end === 'resets' || (end === 'goes on late' && !WHOLE.includes(stage))) socket.destroy()
        if (end === 'goes on late') socket.write(POISON, () => { played() })
        else played()
      })
    })
  }
  const server: Server = tls ? createTlsServer(certificate, accept) : createServer(accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => { server.close(resolve) })
  }
  t.teardown(close)
  return {
    connect: () =>
      connectUpstream({
        origin: `http${tls ? 's' : ''}://127.0.0.1:${port}`,
        timeoutMs: 60_000,
        idleTimeoutMs: 60_000,
        proxies: {},
        ...(tls && { tls: { ca: authority.cert } })
      }),
    script: (stage, end) => {
      const mark = `odd${++newest}`
      current = { mark, stage, end }
      done = new Promise((resolve) => {
        played = resolve
      })
      return mark
    },
    get mark () {
      return current?.mark ?? ''
    },
    played: async (listener, end) => {
      await done
      // A close and a reset are always told; the rest arrives within some turns.
      if (end === 'closes' || end === 'resets') await listener.until(({ ends }) => ends > 0).catch(() => {})
      else {
        for (let turn = 0; turn < 10; turn++) {
          await new Promise((resolve) => {
            setImmediate(resolve)
          })
        }
      }
    },
    finish: () => {
      finish()
    },
    accepted: () => accepted,
    close
  }
}

// A request head, and one of the bodies of REQUESTS.
const REQUEST = /^[A-Z]+ (\/[a-z]+)\?(\w*) HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n(?:12345|5\r\n12345\r\n0\r\n\r\n)?/

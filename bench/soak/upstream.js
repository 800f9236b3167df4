import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const LINE_EVERY_MS = 500
const CHUNK = 'z'.repeat(65_536)
const FLOOD_CHUNKS = 256

/** The body that the upstream sends for a GET: made from the request's id alone, so that the client knows it too. */
export function bodyOf (id) {
  return `${id}:${'x'.repeat(id * 37 % 2000)}`
}

/** The body of a stream with so many lines. */
export function linesOf (id, lines) {
  return Array.from({ length: lines }, (_, index) => `${id}.${index}\n`).join('')
}

/**
 * Starts an API that knows which credential a request should come with (the first segment of its path) and judges every token.
 *
 * `mood`: fair, `refuses` (401 to every token), `resets` (breaks a third of the connections) or `fails` (500).
 * `visits` gets an entry for each request, by the id in `x-soak-id`: a status, or `reset`.
 */
export async function startUpstream ({ ledger, random, visits, condemn }) {
  const upstream = { mood: 'fair', leastLifeMs: Infinity, url: '', close: () => closeAll(server, sockets) }
  const server = createServer((request, response) => { handle(request, response).catch(() => { response.destroy() }) })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', upgrade)
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  upstream.url = `http://127.0.0.1:${server.address().port}`
  return upstream

  async function handle (request, response) {
    const { id, refused } = admit(request)
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    if (refused) {
      note(id, 401)
      return respond(response, 401, 'no')
    }
    if (upstream.mood === 'resets' && random.next() < 0.3) {
      note(id, 'reset')
      return random.next() < 0.5 ? request.socket.resetAndDestroy() : resetHalfway(response)
    }
    if (upstream.mood === 'fails') {
      note(id, 500)
      return respond(response, 500, 'sorry')
    }
    const { searchParams } = new URL(request.url, 'http://upstream')
    if (searchParams.has('flood')) return flood(response)
    const lines = Number(searchParams.get('lines') ?? 0)
    note(id, 200)
    if (lines > 0) return stream(response, id, lines)
    respond(response, 200, request.method === 'POST' ? Buffer.concat(chunks) : bodyOf(id))
  }

  function upgrade (request, socket, head) {
    const { id, refused } = admit(request)
    socket.on('error', () => {})
    if (refused) {
      note(id, 401)
      return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    }
    note(id, 101)
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => {})
      webSocket.on('message', (data, binary) => { webSocket.send(data, { binary }) })
    })
  }

  /** Judges the token. Returns the request's id, and whether this upstream refuses it. */
  function admit (request) {
    const id = Number(request.headers['x-soak-id'])
    const [, credential] = request.url.split(/[/?]/)
    const values = request.headersDistinct.authorization ?? []
    const [, value] = /^Bearer (\S+)$/.exec(values[0] ?? '') ?? []
    if (values.length !== 1 || value === undefined) {
      condemn(credential, `a request with ${values.length} Authorization headers`)
      return { id, refused: true }
    }
    const { problem, token, leftMs } = ledger.judge(value, credential)
    if (problem !== undefined) {
      condemn(credential, problem)
      return { id, refused: true }
    }
    upstream.leastLifeMs = Math.min(upstream.leastLifeMs, leftMs)
    const refused = token.revoked || upstream.mood === 'refuses'
    if (refused) token.bouncedAt ??= Date.now()
    return { id, refused }
  }

  function note (id, status) {
    // The client looks at no response.
    if (Number.isNaN(id)) return
    visits.set(id, [...visits.get(id) ?? [], { status }])
  }
}

function respond (response, status, body) {
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Sends more than all buffers on the way hold. */
function flood (response) {
  let left = FLOOD_CHUNKS
  const pour = () => {
    while (left-- > 0) if (!response.write(CHUNK)) return
    response.end()
  }
  response.on('drain', pour)
  pour()
}

function resetHalfway (response) {
  response.writeHead(200, { 'content-length': 1000 })
  response.write('half of it', () => { response.socket.resetAndDestroy() })
}

function stream (response, id, lines) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let index = 0
  const timer = setInterval(() => {
    response.write(`${id}.${index++}\n`)
    if (index < lines) return
    clearInterval(timer)
    response.end()
  }, LINE_EVERY_MS)
  response.once('close', () => { clearInterval(timer) })
}

async function closeAll (server, sockets) {
  for (const client of sockets.clients) client.terminate()
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
}

import { Agent, request as httpRequest } from 'node:http'
import { talk } from './socket.js'
import { bodyOf, linesOf } from './upstream.js'

const TICK_MS = 50
const PER_TICK = 4
const PATIENCE_MS = 30_000
const STREAM_LINES = [10, 60]
const REOPEN_MS = 2_000

/** Sends eighty requests a second over kept connections, a stream and a WebSocket for each credential; the judge sees every response. */
export function startTraffic ({ port, credentials, judge, random, watched }) {
  // Each credential has its own connections, so that one that waits for a token keeps no other waiting here.
  const agents = new Map(credentials.map((credential) => [credential, new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 2 })]))
  const slowest = new Map()
  const pending = new Set()
  let lastId = 0
  let stopping = false
  const timer = setInterval(() => { for (let count = 0; count < PER_TICK; count++) track(shoot(random.pick(credentials))) }, TICK_MS)
  for (const credential of watched) {
    keepStreaming(credential)
    keepTalking(credential)
  }
  return { stop, sent: () => lastId, slowestMs: (credential) => slowest.get(credential) ?? 0 }

  async function stop () {
    stopping = true
    clearInterval(timer)
    await Promise.all(pending)
    for (const agent of agents.values()) agent.destroy()
  }

  function track (promise) {
    pending.add(promise)
    promise.finally(() => { pending.delete(promise) })
  }

  /** Sends mostly GETs, small POSTs (which can be sent twice), and now and then a POST that is too large to be held. */
  function shoot (credential) {
    const dice = random.next()
    if (dice < 0.7) return send(credential, { method: 'GET' })
    return send(credential, { method: 'POST', body: 'y'.repeat(dice < 0.97 ? Math.floor(random.between(0, 2_000)) : 100_000) })
  }

  function keepStreaming (credential) {
    if (stopping) return
    const lines = Math.round(random.between(...STREAM_LINES))
    const streaming = send(credential, { method: 'GET', lines })
    track(streaming)
    streaming.then((status) => { setTimeout(keepStreaming, status === 200 ? 0 : REOPEN_MS, credential) })
  }

  /** Sends one request and has it judged. Resolves with its status; never rejects. */
  async function send (credential, { method, body, lines = 0 }) {
    const id = ++lastId
    const visit = {
      id,
      credential,
      startedAt: Date.now(),
      safe: method === 'GET',
      expected: lines > 0 ? linesOf(id, lines) : method === 'POST' ? body : bodyOf(id)
    }
    const path = `/${credential}/thing${lines > 0 ? `?lines=${lines}` : ''}`
    const outcome = await exchange({ port, agent: agents.get(credential), id, method, path, body })
    judge.responded(visit, outcome)
    if (outcome.status === 200 && lines === 0) {
      slowest.set(credential, Math.max(slowest.get(credential) ?? 0, Date.now() - visit.startedAt))
    }
    return outcome.status
  }

  /** Keeps a WebSocket open, and opens it again when it fails. */
  function keepTalking (credential) {
    if (stopping) return
    const url = `ws://127.0.0.1:${port}/${credential}/socket`
    const closed = talk({ url, id: ++lastId, credential, judge, patienceMs: PATIENCE_MS, isStopping: () => stopping })
    track(closed)
    closed.then(() => { if (!stopping) setTimeout(keepTalking, REOPEN_MS, credential) })
  }
}

/** Sends a request. Resolves with its outcome, `broken` where the response has no end; a status of 0 is no response. Never rejects. */
function exchange ({ port, agent, id, method, path, body }) {
  const headers = { 'x-soak-id': id, ...(body !== undefined && { 'content-length': body.length }) }
  return new Promise((resolve) => {
    const outgoing = httpRequest({ port, host: '127.0.0.1', agent, method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk })
      response.once('error', () => {})
      response.once('close', () => {
        resolve({ status: response.statusCode, headers: response.headers, body: text, broken: !response.complete })
      })
    })
    outgoing.setTimeout(PATIENCE_MS, () => { outgoing.destroy() })
    outgoing.once('error', () => { if (outgoing.res === undefined || outgoing.res === null) resolve({ status: 0, broken: true }) })
    outgoing.end(body)
  })
}

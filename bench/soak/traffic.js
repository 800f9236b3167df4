import { Agent, request as httpRequest } from 'node:http'
import { WebSocket } from 'ws'
import { bodyOf, linesOf } from './upstream.js'

const TICK_MS = 50
const PER_TICK = 4
const PATIENCE_MS = 30_000
const STREAM_LINES = [10, 60]
const PING_MS = 1_000
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
  function send (credential, { method, body, lines = 0 }) {
    const id = ++lastId
    const visit = {
      id,
      credential,
      startedAt: Date.now(),
      safe: method === 'GET',
      expected: lines > 0 ? linesOf(id, lines) : method === 'POST' ? body : bodyOf(id)
    }
    return new Promise((resolve) => {
      const end = (outcome) => {
        judge.responded(visit, outcome)
        if (outcome.status === 200 && lines === 0) {
          slowest.set(credential, Math.max(slowest.get(credential) ?? 0, Date.now() - visit.startedAt))
        }
        resolve(outcome.status)
      }
      const path = `/${credential}/thing${lines > 0 ? `?lines=${lines}` : ''}`
      const outgoing = httpRequest(
        {
          port,
          host: '127.0.0.1',
          agent: agents.get(credential),
          method,
          path,
          headers: { 'x-soak-id': id, ...(body !== undefined && { 'content-length': body.length }) }
        },
        (response) => {
          const { statusCode: status, headers } = response
          let text = ''
          response.setEncoding('utf8').on('data', (chunk) => {
            text += chunk
          })
          response.once('error', () => {})
          response.once('close', () => {
            end({ status, headers, body: text, broken: !response.complete })
          })
        }
      )
      outgoing.setTimeout(PATIENCE_MS, () => { outgoing.destroy() })
      outgoing.once('error', () => { if (outgoing.res === undefined || outgoing.res === null) end({ status: 0, broken: true }) })
      outgoing.end(body)
    })
  }

  /** Keeps a WebSocket open, and opens it again when it fails: each message must come back, in its order. */
  function keepTalking (credential) {
    if (stopping) return
    const id = ++lastId
    const visit = { id, credential, startedAt: Date.now() }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${credential}/socket`, {
      headers: { 'x-soak-id': id },
      handshakeTimeout: PATIENCE_MS
    })
    let sent = 0
    let received = 0
    let pings
    track(new Promise((resolve) => { socket.once('close', resolve) }))
    socket.on('error', () => {})
    socket.once('unexpected-response', (_request, response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => { body += chunk })
      response.once('close', () => {
        judge.responded(visit, { status: response.statusCode, headers: response.headers, body, broken: !response.complete })
        socket.terminate()
      })
    })
    socket.once('open', () => {
      judge.responded(visit, { status: 101 })
      pings = setInterval(() => {
        if (stopping) return socket.close()
        if (sent - received > PATIENCE_MS / PING_MS) judge.condemn(credential, 'a WebSocket that fell silent')
        socket.send(`${id}.${sent++}`)
      }, PING_MS)
    })
    socket.on('message', (data) => {
      if (String(data) !== `${id}.${received++}`) judge.condemn(credential, 'a WebSocket message that was not sent')
      judge.count('WebSocket messages')
    })
    socket.once('close', () => {
      clearInterval(pings)
      if (sent > 0 && !stopping) judge.condemn(credential, 'a WebSocket that ended by itself')
      if (!stopping) setTimeout(keepTalking, REOPEN_MS, credential)
    })
  }
}

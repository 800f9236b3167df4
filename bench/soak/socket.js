import { WebSocket } from 'ws'

const PING_MS = 1_000

/**
 * Talks over one WebSocket until it closes: each message must come back, in its order. The judge sees the handshake and every
 * message. Resolves with its end; never rejects.
 */
export function talk ({ url, id, credential, judge, patienceMs, isStopping }) {
  const visit = { id, credential, startedAt: Date.now() }
  const socket = new WebSocket(url, { headers: { 'x-soak-id': id }, handshakeTimeout: patienceMs })
  let sent = 0
  let received = 0
  let pings
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
      if (isStopping()) return socket.close()
      if (sent - received > patienceMs / PING_MS) judge.condemn(credential, 'a WebSocket that fell silent')
      socket.send(`${id}.${sent++}`)
    }, PING_MS)
  })
  socket.on('message', (data) => {
    if (String(data) !== `${id}.${received++}`) judge.condemn(credential, 'a WebSocket message that was not sent')
    judge.count('WebSocket messages')
  })
  return new Promise((resolve) => {
    socket.once('close', () => {
      clearInterval(pings)
      if (sent > 0 && !isStopping()) judge.condemn(credential, 'a WebSocket that ended by itself')
      resolve()
    })
  })
}

import { connect } from 'node:net'
import { pause } from './weather.js'

const AT_ONCE = 8
const STALL_MS = [1_000, 15_000]

/**
 * Clients that break off: readers that stop reading, pipelines that end anywhere, uploads and upgrades that are left. Until the
 * signal aborts. None looks at a response; what they must not do is harm those who do.
 */
export function startRudeClients ({ port, credentials, random, signal }) {
  const counts = new Map()
  const manners = { 'stalled readers': stall, 'broken pipelines': cut, 'abandoned uploads': abandon, 'abandoned upgrades': leave }
  const ended = Promise.all(Array.from({ length: AT_ONCE }, behave))
  return { ended, counts }

  async function behave () {
    while (await pause(random.between(10, 1_000), signal)) {
      const manner = random.pick(Object.keys(manners))
      counts.set(manner, (counts.get(manner) ?? 0) + 1)
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      await manners[manner](socket, random.pick(credentials))
      if (random.next() < 0.5) socket.resetAndDestroy()
      else socket.destroy()
    }
  }

  async function stall (socket, credential) {
    socket.write(head('GET', `/${credential}/thing?flood`))
    socket.once('data', () => { socket.pause() })
    await pause(random.between(...STALL_MS), signal)
  }

  async function cut (socket, credential) {
    const kinds = [
      () => head('GET', `/${credential}/thing`),
      () => head('GET', '/nowhere'),
      () => head('GET', `/${credential}/thing`).replace('127.0.0.1', 'evil.example'),
      () => `${head('POST', `/${credential}/thing`, 'Content-Length: 5')}hello`,
      () => `${head('POST', `/${credential}/thing`, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
      () => head('GET', `/${credential}/socket`, ...UPGRADE)
    ]
    const bytes = Array.from({ length: Math.round(random.between(1, 40)) }, () => random.pick(kinds)()).join('')
    socket.resume().write(bytes.slice(0, Math.ceil(random.between(1, bytes.length))))
    await pause(random.between(0, 200), signal)
  }

  async function abandon (socket, credential) {
    socket.write(`${head('POST', `/${credential}/thing`, 'Content-Length: 1000000')}${'u'.repeat(Math.round(random.between(0, 300_000)))}`)
    await pause(random.between(0, 500), signal)
  }

  async function leave (socket, credential) {
    socket.write(head('GET', `/${credential}/socket`, ...UPGRADE))
    await pause(random.between(0, 100), signal)
  }

  function head (method, path, ...lines) {
    return [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...lines, '', ''].join('\r\n')
  }
}

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']

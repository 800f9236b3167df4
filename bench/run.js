/**
 * CPU time per proxied request, side by side on this machine: `npm run bench [-- REQUESTS]`.
 * Every proxy runs in a process of its own, in turns, so that a busy moment of the machine hits all of them; what counts
 * is the CPU time that the proxy's process used, not the wall clock.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const REQUESTS = Number(process.argv[2] ?? 20_000)
const WARM_UP = 5_000
const ROUNDS = 5
const CONNECTIONS = 32
const CONTENDERS = ['bare @fastify/http-proxy', 'countersign', 'countersign, access log on', 'node:http + undici dispatch']

const upstream = await start('upstream')
const contenders = await Promise.all(CONTENDERS.map((name) => start(name, `http://127.0.0.1:${upstream.port}`)))
for (const contender of contenders) await load(contender.port, WARM_UP)
for (let round = 0; round < ROUNDS; round++) {
  for (const contender of contenders) {
    const before = await usage(contender)
    await load(contender.port, REQUESTS)
    const after = await usage(contender)
    contender.rounds.push((after.cpuMicros - before.cpuMicros) / REQUESTS)
    contender.rss = after.rss
  }
}

const [bare] = contenders
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}; ${ROUNDS} rounds of ${REQUESTS} GETs over ${CONNECTIONS} keep-alive connections\n`)
console.log('| proxy | CPU per request, median (least … most) | ratio to bare | RSS at the end |\n| --- | --- | --- | --- |')
for (const { name, rounds, rss } of contenders) {
  const sorted = rounds.toSorted((a, b) => a - b)
  console.log(`| ${name} | ${median(rounds).toFixed(1)} µs (${sorted[0].toFixed(1)} … ${sorted.at(-1).toFixed(1)}) | ${(median(rounds) / median(bare.rounds)).toFixed(2)} | ${(rss / 2 ** 20).toFixed(0)} MiB |`)
}
for (const { child } of [...contenders, upstream]) child.kill()

async function start (name, ...args) {
  const child = fork(fileURLToPath(new URL('parts.js', import.meta.url)), [name, ...args])
  const [{ port }] = await once(child, 'message')
  return { name, child, port, rounds: [], rss: 0 }
}

async function usage ({ child }) {
  child.send('cpu')
  const [answer] = await once(child, 'message')
  return answer
}

function median (values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

/** Sends requests one after the other on each connection; a bare socket costs the machine less than an HTTP client. */
async function load (port, requests) {
  const message = `GET /api/thing?x=1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer theirs\r\n\r\n`
  let left = requests
  await Promise.all(Array.from({ length: CONNECTIONS }, () => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let pending = ''
    const next = () => {
      if (left-- <= 0) {
        socket.destroy()
        resolve()
        return
      }
      socket.write(message)
    }
    socket.on('connect', next)
    socket.on('error', reject)
    socket.on('data', (data) => {
      pending += data.toString('latin1')
      if (!pending.endsWith('{"answer": 42 }') && !pending.endsWith('0\r\n\r\n')) return
      if (!pending.startsWith('HTTP/1.1 200 ')) {
        reject(new Error(pending.slice(0, 200)))
        return
      }
      pending = ''
      next()
    })
  })))
}

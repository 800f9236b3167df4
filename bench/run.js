/**
 * CPU time per proxied request, side by side on this machine, and memory while a large body passes: `npm run bench [-- ROUNDS]`.
 *
 * Every proxy runs in a process of its own. They take turns in many short rounds, and each is compared with bare
 * @fastify/http-proxy in the same round, so that a busy moment of the machine hits both; medians leave the rest of the
 * noise out. What counts is the CPU time that the proxy's process used, not the wall clock.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { download, openConnections, upload } from './client.js'

const ROUNDS = Number(process.argv[2] ?? 40)
const WARM_UP = 6_000
const CONNECTIONS = 32
const STREAM_MIB = 256
const [BARE, MINIMAL] = ['bare @fastify/http-proxy', 'node:http + undici dispatch']
const CONTENDERS = [BARE, 'countersign', 'countersign, access log on', MINIMAL]

const SCENARIOS = [
  { name: 'GET, 15 bytes back', requests: 1500, method: 'GET', path: '/api/thing?x=1' },
  { name: 'POST of 1 KiB, 15 bytes back', requests: 1000, method: 'POST', path: '/api/thing', body: 'x'.repeat(1024) },
  { name: 'GET, 64 KiB back', requests: 500, method: 'GET', path: '/api/64k' }
]

const upstream = await start('upstream')
const origin = `http://127.0.0.1:${upstream.port}`
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}, ${new Date().toISOString().slice(0, 10)}; ${ROUNDS} rounds over ${CONNECTIONS} keep-alive connections`)
for (const scenario of SCENARIOS) await compareCpu(scenario)
await compareMemory()
upstream.child.kill()

async function compareCpu ({ name, requests, ...request }) {
  const contenders = await Promise.all(CONTENDERS.map((contender) => start(contender, origin)))
  for (const contender of contenders) {
    contender.connections = await openConnections(contender.port, CONNECTIONS)
    contender.message = format(contender, request)
    contender.micros = []
    await contender.connections.ask(contender.message, WARM_UP)
  }
  for (let round = 0; round < ROUNDS; round++) {
    // Backwards every other time: who comes after whom must not matter.
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const before = await usage(contender)
      await contender.connections.ask(contender.message, requests)
      const after = await usage(contender)
      contender.micros.push((after.cpuMicros - before.cpuMicros) / requests)
    }
  }
  const [bare, minimal] = [BARE, MINIMAL].map((wanted) => contenders.find((contender) => contender.name === wanted).micros)
  console.log(`\n${name}:\n\n| proxy | CPU per request | to bare | to node:http + undici |\n| --- | --- | --- | --- |`)
  for (const { name, micros, connections, child } of contenders) {
    console.log(`| ${name} | ${median(micros).toFixed(1)} µs | ${ratio(micros, bare)} | ${ratio(micros, minimal)} |`)
    connections.close()
    child.kill()
  }
}

async function compareMemory () {
  console.log(`\n${STREAM_MIB} MiB through a slow reader:\n\n| proxy | direction | RSS before | peak RSS | growth |\n| --- | --- | --- | --- | --- |`)
  for (const name of [BARE, 'countersign']) {
    for (const direction of ['down', 'up']) {
      const contender = await start(name, origin)
      const connections = await openConnections(contender.port, 1)
      await connections.ask(format(contender, { method: 'GET', path: '/api/thing' }), 100)
      connections.close()
      const before = (await usage(contender)).peakRss
      if (direction === 'down') await download(contender.port, `/api/stream/${STREAM_MIB}`)
      else await upload(contender.port, '/api/slow', STREAM_MIB * 2 ** 20)
      const peak = (await usage(contender)).peakRss
      console.log(`| ${name} | ${direction} | ${mebibytes(before)} | ${mebibytes(peak)} | ${mebibytes(peak - before)} |`)
      contender.child.kill()
    }
  }
}

async function start (name, ...args) {
  const child = fork(fileURLToPath(new URL('parts.js', import.meta.url)), [name, ...args], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  child.stdout.resume()
  const [{ port }] = await once(child, 'message')
  return { name, child, port }
}

async function usage ({ child }) {
  child.send('usage')
  const [answer] = await once(child, 'message')
  return answer
}

function format ({ port }, { method, path, body = '' }) {
  const framing = body === '' ? '' : `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n`
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer theirs\r\n${framing}\r\n${body}`
}

/** The median over the rounds of one proxy's cost divided by another's in the same round. */
function ratio (micros, reference) {
  return median(micros.map((value, round) => value / reference[round])).toFixed(2)
}

function median (values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

function mebibytes (bytes) {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

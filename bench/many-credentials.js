/**
 * A thousand Cognito credentials in one process: `node bench/many-credentials.js [CREDENTIALS] [ROUNDS]` (after `npm run build`).
 * The executable starts with the default limits of logins (four at once, twenty a second) against an emulator in a process of
 * its own, then lives through ROUNDS rounds of refreshes with tokens of a minute. What counts is what the provider saw, and
 * that memory stays where it is.
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startCognitoEmulator } from '../dist/demo/cognito-emulator.js'

const LIFETIME_S = 60
const POOL = 'us-west-2_Bench1'
const CLI = fileURLToPath(new URL('../bin/countersign.js', import.meta.url))

if (process.argv[2] === 'identity-provider') await identityProvider(Number(process.argv[3]))
else await measure(Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 5))

async function measure (count, rounds) {
  const provider = fork(fileURLToPath(import.meta.url), ['identity-provider', String(count)])
  const [{ url }] = await once(provider, 'message')
  const folder = mkdtempSync(join(tmpdir(), 'cs-bench-'))
  const file = join(folder, 'countersign.json')
  const names = Array.from({ length: count }, (_, id) => `key-${id}`)
  writeFileSync(
    file,
    JSON.stringify({
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      credentials: Object.fromEntries(
        names.map((name) => [
          name,
          { type: 'cognito', userPoolId: POOL, clientId: 'bench', username: name, password: `password of ${name}`, endpoint: url }
        ])
      ),
      routes: names.map((name) => ({ prefix: `/${name}`, upstream: 'http://127.0.0.1:9', credential: name }))
    })
  )
  const startedAt = performance.now()
  const daemon = spawn(process.execPath, [CLI, '-c', file], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } })
  const lines = []
  for (const stream of [daemon.stdout, daemon.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (!/"token fetched"/.test(line)) lines.push(line)
    })
  }
  try {
    while (lines.length === 0) await pause(10)
    const admin = `http://${JSON.parse(lines[0]).admin}`
    const listeningMs = performance.now() - startedAt
    while ((await fetch(`${admin}/ready`)).status !== 200) await pause(200)
    const readyMs = performance.now() - startedAt
    const seen = await ask(provider)
    console.log(`Node ${process.version}; ${count} credentials\n`)
    console.log(`listening after ${(listeningMs / 1000).toFixed(1)} s, ready after ${(readyMs / 1000).toFixed(1)} s`)
    console.log(
      `the provider saw ${seen.logins} logins, at most ${seen.mostAtOnce} at once and ${seen.mostInASecond} beginning in one second`
    )
    for (const path of ['/ready', '/status', '/metrics']) console.log(`${path}: ${(await medianMs(`${admin}${path}`)).toFixed(1)} ms`)
    console.log('\n| after | logins | refreshes | RSS | heap used | CPU per refresh |\n| --- | --- | --- | --- | --- | --- |')
    let before = await readings(admin)
    for (let round = 0; round <= rounds; round++) {
      if (round > 0) await pause(LIFETIME_S * 800)
      const now = await readings(admin)
      const { logins, refreshes } = await ask(provider)
      const per = round === 0 ? '' : `${((now.cpuS - before.cpuS) / count * 1000).toFixed(2)} ms`
      console.log(
        `| ${Math.round((performance.now() - startedAt) / 1000)} s | ${logins} | ${refreshes} | ${(now.rss / 2 ** 20).toFixed(0)} MiB | ${(now.heap / 2 ** 20).toFixed(0)} MiB | ${per} |`
      )
      before = now
    }
    const warnings = lines.filter((line) => !/"level":"info"/.test(line))
    console.log(warnings.length === 0 ? '\nno warning was logged' : `\n${warnings.length} warnings, the first:\n${warnings[0]}`)
  } finally {
    daemon.kill('SIGTERM')
    await once(daemon, 'exit')
    provider.kill()
    rmSync(folder, { recursive: true })
  }
}

/** An emulator, and what it sees: written from its side, so that nothing the daemon believes of itself counts. */
async function identityProvider (count) {
  const seen = { logins: 0, refreshes: 0, mostAtOnce: 0, mostInASecond: 0 }
  const underWay = new Set()
  const begun = []
  const { url } = await startCognitoEmulator({
    pools: [
      {
        id: POOL,
        clients: [{ id: 'bench', lifetimeSeconds: LIFETIME_S }],
        users: Array.from({ length: count }, (_, id) => ({ username: `key-${id}`, password: `password of key-${id}` }))
      }
    ],
    onEvent: ({ flow, username, outcome }) => {
      if (flow === 'USER_SRP_AUTH') {
        const now = performance.now()
        begun.push(now)
        while (begun[0] <= now - 1000) begun.shift()
        underWay.add(username)
        seen.mostInASecond = Math.max(seen.mostInASecond, begun.length)
        seen.mostAtOnce = Math.max(seen.mostAtOnce, underWay.size)
      } else if (flow === 'PASSWORD_VERIFIER') {
        underWay.delete(username)
        if (outcome === 'ok') seen.logins += 1
      } else if (outcome === 'ok') seen.refreshes += 1
    }
  })
  process.on('message', () => { process.send(seen) })
  process.send({ url })
}

async function ask (provider) {
  provider.send('what did you see')
  const [seen] = await once(provider, 'message')
  return seen
}

async function readings (admin) {
  const text = await (await fetch(`${admin}/metrics`)).text()
  const read = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  return { rss: read('process_resident_memory_bytes'), heap: read('nodejs_heap_size_used_bytes'), cpuS: read('process_cpu_seconds_total') }
}

async function medianMs (url) {
  const times = []
  for (let run = 0; run < 21; run++) {
    const startedAt = performance.now()
    await (await fetch(url)).arrayBuffer()
    times.push(performance.now() - startedAt)
  }
  return times.sort((a, b) => a - b)[10]
}

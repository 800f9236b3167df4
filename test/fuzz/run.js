/**
 * Fuzzes the proxy from both sides: `npm run fuzz -- [REQUESTS] [SEED]`; `npm run fuzz -- responses [RESPONSES] [SEED]` only
 * what upstreams send: that many through our client, Node's and undici's, a tenth as many through the whole proxy. A failure
 * names its seed and the smallest case that fails; such cases are kept in test/security.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const args = process.argv.slice(2)
const only = args[0] === 'responses' ? args.shift() : undefined
const [count = only === undefined ? '100000' : '1000000', seed = String(Date.now() % 2 ** 31)] = args
const root = fileURLToPath(new URL('../..', import.meta.url))
const tenth = String(Math.ceil(Number(count) / 10))
if (only === undefined) {
  console.error(`${count} requests, as many exchanges in pipelines, and a tenth as many responses of an upstream, seed ${seed}`)
  await run('requests', count)
  await run('pipelines', count)
  await run('readers', tenth)
  await run('responses', tenth)
} else {
  console.error(`${count} responses to three readers, a tenth as many to the proxy, seed ${seed}`)
  await run('readers', count)
  await run('responses', tenth)
}

async function run (name, runs) {
  const child = spawn(process.execPath, ['scripts/test.js', '--timeout=0', '--tap', `test/fuzz/${name}.test.ts`], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FUZZ_RUNS: runs, FUZZ_SEED: seed }
  })
  const status = await new Promise((resolve) => { child.once('close', resolve) })
  if (status !== 0) process.exitCode = 1
}

/**
 * Fuzzes the proxy from both sides: `npm run fuzz -- [REQUESTS] [SEED]`. A failure names its seed and the smallest case
 * that fails; such cases are kept in test/security.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [requests = '100000', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
console.error(`${requests} requests, as many exchanges in pipelines, and a tenth as many answers of an upstream, seed ${seed}`)
await run('requests', requests)
await run('pipelines', requests)
await run('responses', String(Math.ceil(Number(requests) / 10)))

async function run (name, runs) {
  const child = spawn(process.execPath, ['scripts/test.js', '--timeout=0', '--tap', `test/fuzz/${name}.test.ts`], { cwd: root, stdio: 'inherit', env: { ...process.env, FUZZ_RUNS: runs, FUZZ_SEED: seed } })
  const status = await new Promise((resolve) => { child.once('close', resolve) })
  if (status !== 0) process.exitCode = 1
}

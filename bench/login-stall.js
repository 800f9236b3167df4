/**
 * How long the event loop stands still while 20 logins run: `node bench/login-stall.js`.
 * Once as Countersign does it (a worker thread, OpenSSL's modular exponentiation), once as an application does that calls
 * amazon-cognito-identity-js itself. The identity provider runs in a process of its own.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Secret } from '../dist/index.js'
import { CognitoWorker, createCognitoSource } from '../dist/token/cognito/source.js'
import { startCognitoEmulator } from '../dist/demo/cognito-emulator.js'

const LOGINS = 20
const POOL = 'us-west-2_Bench1'
const CLIENT = 'bench'

if (process.argv[2] === 'identity-provider') {
  const { url } = await startCognitoEmulator({
    pools: [{ id: POOL, clients: [{ id: CLIENT }], users: [{ username: 'user', password: 'password' }] }]
  })
  process.send(url)
} else {
  const child = fork(fileURLToPath(import.meta.url), ['identity-provider'])
  const [endpoint] = await once(child, 'message')
  const worker = new CognitoWorker()
  const source = createCognitoSource(
    {
      userPoolId: POOL,
      clientId: CLIENT,
      username: new Secret('user'),
      password: new Secret('password'),
      tokenUse: 'access',
      authFlow: 'srp',
      endpoint
    },
    worker
  )
  const never = new AbortController().signal
  await source.token(never)
  const ours = await measure(() => source.token(never))
  await worker.close()
  const library = createRequire(import.meta.url)('amazon-cognito-identity-js')
  await directLogin(library, endpoint)
  const theirs = await measure(() => directLogin(library, endpoint))
  child.kill()
  console.log(`Node ${process.version}; ${LOGINS} logins, four at a time\n`)
  console.log('| | longest stall of the main thread | CPU of the main thread | wall clock |\n| --- | --- | --- | --- |')
  for (const [name, { stallMs, busyMs, wallMs }] of [
    ['Countersign (worker thread, OpenSSL)', ours],
    ['amazon-cognito-identity-js on the main thread', theirs]
  ]) {
    console.log(`| ${name} | ${stallMs.toFixed(1)} ms | ${busyMs.toFixed(0)} ms | ${wallMs.toFixed(0)} ms |`)
  }
}

async function measure (login) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const busy = performance.eventLoopUtilization()
  const startedAt = performance.now()
  let left = LOGINS
  await Promise.all(Array.from({ length: 4 }, async () => { while (left-- > 0) await login() }))
  const wallMs = performance.now() - startedAt
  delay.disable()
  return { stallMs: delay.max / 1e6, busyMs: performance.eventLoopUtilization(busy).active, wallMs }
}

function directLogin ({ AuthenticationDetails, CognitoUser, CognitoUserPool }, endpoint) {
  const storage = new Map()
  const Storage = {
    setItem: (key, value) => storage.set(key, value),
    getItem: (key) => storage.get(key) ?? null,
    removeItem: (key) => storage.delete(key),
    clear: () => storage.clear()
  }
  const user = new CognitoUser({
    Username: 'user',
    Pool: new CognitoUserPool({ UserPoolId: POOL, ClientId: CLIENT, endpoint, Storage }),
    Storage
  })
  return new Promise((resolve, reject) => {
    user.authenticateUser(new AuthenticationDetails({ Username: 'user', Password: 'password' }), { onSuccess: resolve, onFailure: reject })
  })
}

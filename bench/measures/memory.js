/** Resident memory of idle processes: as they start, with a Cognito credential, with many routes, with idle connections. */
import { setTimeout as pause } from 'node:timers/promises'
import { format, openConnection } from '../client/connections.js'
import { OURS, OURS_QUIET, startCountersign, writeConfig } from '../contenders/countersign.js'
import { BARE } from '../contenders/node.js'
import { readMemory } from '../process.js'
import { cognitoCredential } from '../upstream/identity.js'
import { originOf, startIdentityProvider, startUpstream } from '../upstream/index.js'

export const memory = {
  parts: ['memory'],

  /** Returns lists of bytes, one of each process: `idle` and `connection` by contender, `cognito`, and `route` by contender. */
  async run (bench) {
    const figures = { idle: {}, connection: {}, route: {}, cognito: [] }
    const upstream = await startUpstream(bench)
    const provider = await startIdentityProvider(bench, 1)
    try {
      for (let turn = 0; turn < bench.settings.processes; turn++) {
        bench.say(`memory, processes ${turn + 1} of ${bench.settings.processes}`)
        await measure({ ...bench, origin: originOf(upstream), endpoint: provider.said.cognito }, figures)
      }
    } finally {
      await upstream.stop()
      await provider.stop()
    }
    return { memory: figures }
  }
}

async function measure (bench, figures) {
  const { routes, settleMs } = bench.settings
  const prefixes = Array.from({ length: routes }, (_, id) => id === 0 ? '/api' : `/route-${id}`)
  const running = []
  const begin = async (name, starting) => { running.push({ name, ...await starting }) }
  try {
    for (const { name, start } of bench.contenders.filter(({ name }) => name !== OURS_QUIET)) await begin(name, start(bench))
    const field = [...running]
    const routed = bench.contenders.filter(({ name }) => name === OURS || name === BARE)
    await begin('cognito', startWithCognito(bench))
    for (const { name, start } of routed) await begin(`${name}, routes`, start({ ...bench, prefixes }))
    await pause(settleMs)
    const idle = Object.fromEntries(running.map(({ name, pid }) => [name, readMemory(pid).now]))
    for (const { name } of field) note(figures.idle, name, idle[name])
    figures.cognito.push(idle.cognito)
    for (const { name } of routed) note(figures.route, name, Math.round((idle[`${name}, routes`] - idle[name]) / (routes - 1)))
    await measureConnections(bench, field, figures.connection)
  } finally {
    for (const { stop } of running) await stop()
  }
}

/**
 * Measures the memory of an idle connection that had one request. Two numbers of connections are compared, which leaves out
 * the code and the larger heap that the first ones bring along.
 */
async function measureConnections ({ settings: { idleConnections, settleMs } }, field, figures) {
  const open = []
  try {
    const readings = []
    for (const count of idleConnections) {
      for (const { said } of field) {
        const message = format(said.port, { path: '/api/thing' })
        for (let i = readings.at(-1)?.count ?? 0; i < count; i++) {
          const connection = await openConnection(said.port)
          open.push(connection)
          await new Promise((resolve, reject) => { connection.ask(message, resolve, reject) })
        }
      }
      await pause(settleMs)
      readings.push({ count, bytes: field.map(({ pid }) => readMemory(pid).now) })
    }
    const [few, many] = readings
    field.forEach(({ name }, index) => {
      note(figures, name, Math.round((many.bytes[index] - few.bytes[index]) / (many.count - few.count)))
    })
  } finally {
    for (const connection of open) connection.close()
  }
}

async function startWithCognito (bench) {
  const started = await startCountersign(
    bench,
    writeConfig(bench.folder, bench, { credentials: { bench: cognitoCredential(0, bench.endpoint) } })
  )
  while ((await fetch(`http://127.0.0.1:${started.said.adminPort}/ready`)).status !== 200) await pause(100)
  return started
}

function note (figures, name, value) {
  (figures[name] ??= []).push(value)
}

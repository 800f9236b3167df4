/**
 * CPU time per request and latency. A process of each contender at a time; they take turns in short rounds, so that a busy moment
 * of the machine hits all of them, and what is compared is what one round of each cost. Then the next processes.
 */
import { format, openConnections } from '../client/connections.js'
import { OURS_QUIET } from '../contenders/countersign.js'
import { CONNECTIONS } from '../settings.js'
import { readCpu, readMemory } from '../process.js'
import { originOf, startUpstream } from '../upstream/index.js'
import { summary } from '../report/figures.js'

const SCENARIOS = {
  get: { path: '/api/thing?x=1' },
  post: { method: 'POST', path: '/api/thing', body: 'x'.repeat(1024) },
  '64k': { path: '/api/64k' }
}
/** No proxy at all: the cost of the client and the upstream by themselves. */
export const DIRECT = 'no proxy'

export const requests = {
  parts: [...Object.keys(SCENARIOS), 'latency'],

  /** Returns, by part and contender, the readings of every round of every process; `loaded` is the memory afterwards. */
  async run (bench, parts) {
    const figures = Object.fromEntries([...parts, 'loaded'].map((part) => [part, {}]))
    const upstream = await startUpstream(bench)
    try {
      for (let turn = 0; turn < bench.settings.processes; turn++) {
        await runTurn({ ...bench, origin: originOf(upstream) }, parts, figures, turn)
      }
    } finally {
      await upstream.stop()
    }
    for (const part of Object.values(figures)) bench.failures.strike(part)
    return figures
  }
}

async function runTurn (bench, parts, figures, turn) {
  const field = []
  try {
    await bench.failures.each(bench.contenders, async ({ name, onNode, ours, start }) => {
      field.push({ name, onNode, ours, ...(await start(bench)) })
    })
    for (const [index, part] of parts.entries()) {
      const warmUp = index === 0 ? bench.settings.warmUp : bench.settings.warmUpNext[part]
      bench.say(`${part}, processes ${turn + 1} of ${bench.settings.processes}`)
      if (part === 'latency') await measureLatency(bench, field, warmUp, figures.latency)
      else await measureCpu(bench, field, part, warmUp, figures[part])
    }
    await bench.failures.each(field, ({ name, pid }) => { note(figures.loaded, name, readMemory(pid)) })
  } finally {
    for (const { stop } of field) await stop()
  }
}

async function measureCpu ({ settings, failures }, field, part, warmUp, figures) {
  const count = settings.requests[part]
  const message = ({ said }) => format(said.port, SCENARIOS[part])
  await failures.each(field, async (contender) => {
    contender.connections = await openConnections(contender.said.port, CONNECTIONS)
    await contender.connections.ask(message(contender), warmUpOf(contender, warmUp))
    contender.rounds = []
  })
  for (let round = 0; round < settings.rounds; round++) {
    // Backwards every other time: the order of the contenders must not matter.
    await failures.each(round % 2 === 0 ? field : field.toReversed(), async (contender) => {
      await contender.connections.wake(message(contender))
      const before = readCpu(contender.pid)
      await contender.connections.ask(message(contender), count)
      const after = readCpu(contender.pid)
      contender.rounds.push({
        all: perRequest(after.all - before.all, count),
        ...(contender.onNode && { main: perRequest(after.main - before.main, count) })
      })
    })
  }
  await failures.each(field, ({ name, rounds, connections }) => {
    note(figures, name, rounds)
    connections.close()
  })
}

async function measureLatency (bench, field, warmUp, figures) {
  const direct = { name: DIRECT, said: { port: Number(bench.origin.split(':')[1]) } }
  const measured = [direct, ...field.filter(({ name }) => name !== OURS_QUIET)]
  for (const contender of measured) {
    contender.message = format(contender.said.port, { path: contender === direct ? '/thing?x=1' : '/api/thing?x=1' })
  }
  for (const [connections, count] of Object.entries(bench.settings.latency)) {
    await measureLatencyOver(bench, measured, Number(connections), count, warmUp)
    await bench.failures.each(measured, ({ name, times }) => {
      note(figures, name, { connections: Number(connections), ...summary(times) })
    })
  }
}

async function measureLatencyOver ({ settings: { rounds }, failures }, measured, connections, count, warmUp) {
  const each = Math.ceil(count / rounds)
  await failures.each(measured, async (contender) => {
    contender.times = []
    contender.connections = await openConnections(contender.said.port, connections)
    await contender.connections.ask(contender.message, warmUpOf(contender, warmUp))
  })
  for (let round = 0; round < rounds; round++) {
    await failures.each(round % 2 === 0 ? measured : measured.toReversed(), async (contender) => {
      await contender.connections.wake(contender.message)
      contender.times.push(...await contender.connections.ask(contender.message, each))
    })
  }
  await failures.each(measured, ({ connections }) => { connections.close() })
}

/** A process with compiled code from an earlier one has less to warm up. */
function warmUpOf ({ onNode }, requests) {
  return onNode ? requests : Math.ceil(requests / 5)
}

function perRequest (micros, count) {
  return Math.round(micros / count * 100) / 100
}

function note (figures, name, value) {
  (figures[name] ??= []).push(value)
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../scripts/compile.js'
import { startProcess } from '../process.js'
import { packageVersion } from './peers.js'

export const OURS = 'Countersign'
export const OURS_QUIET = 'Countersign without access log'

/** The executable as it ships: guards, injection, metrics, the body held for a replay, and the access log as by default. */
export const countersign = create(OURS, {})
export const countersignQuiet = create(OURS_QUIET, { accessLog: false })

/** Writes a configuration of routes that share one static credential, with what `change` says otherwise. Returns its file. */
export function writeConfig (folder, { origin, token, prefixes = ['/api'] }, change = {}) {
  const file = join(folder, `countersign-${process.hrtime.bigint()}.json`)
  writeFileSync(file, JSON.stringify({
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    credentials: { bench: { type: 'static', value: token } },
    routes: prefixes.map((prefix) => ({ prefix, upstream: `http://${origin}`, credential: 'bench' })),
    ...change
  }), { mode: 0o600 })
  return file
}

/** Starts the executable on a configuration file. */
export async function startCountersign ({ node, env }, file) {
  const started = await startProcess(node, [join(ROOT, 'bin/countersign.js'), '-c', file], { env })
  const { address, admin } = started.said
  return { ...started, said: { port: portOf(address), adminPort: portOf(admin) } }
}

function create (name, change) {
  return {
    name,
    onNode: true,
    ours: true,
    version: () => packageVersion(ROOT),
    start: (setup) => startCountersign(setup, writeConfig(setup.folder, setup, change))
  }
}

/** The port of an address as the log line writes it. */
export function portOf (address) {
  return Number(/:(\d+)$/.exec(address)[1])
}

/** From exec to listening, and the CPU time that it took. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { OURS } from '../contenders/countersign.js'
import { BARE } from '../contenders/node.js'
import { readCpu } from '../process.js'

export const start = {
  parts: ['start'],

  /** Returns, by who starts with what, `{ ms, cpuMs }` of every start but the first, which warms the caches of files. */
  async run (bench) {
    const compared = bench.contenders.filter(({ name }) => name === OURS || name === BARE)
    const cache = join(bench.folder, 'compiled')
    mkdirSync(cache)
    const many = Array.from({ length: bench.settings.routes }, (_, id) => id === 0 ? '/api' : `/route-${id}`)
    const variants = compared.flatMap((contender) => [
      [`${contender.name}, 1 route`, contender, {}],
      [`${contender.name}, 1 route, compile cache`, contender, { env: { NODE_COMPILE_CACHE: cache } }],
      [`${contender.name}, ${many.length} routes`, contender, { prefixes: many }]
    ])
    const figures = Object.fromEntries(variants.map(([name]) => [name, []]))
    for (let turn = 0; turn <= bench.settings.starts; turn++) {
      bench.say(`start, ${turn} of ${bench.settings.starts}`)
      for (const [name, contender, setup] of variants) {
        const { pid, listeningMs, stop } = await contender.start({ ...bench, origin: '127.0.0.1:9', ...setup })
        const cpuMs = readCpu(pid).all / 1000
        await stop()
        if (turn > 0) figures[name].push({ ms: listeningMs, cpuMs })
      }
    }
    return { start: figures }
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url))

t.test(
  'the benchmark measures us beside another, and writes what the tables and charts are made of',
  { timeout: 120_000, skip: process.platform !== 'linux' && 'reads /proc' },
  async (t) => {
    const out = t.testdir()
    const bench = async (...args: string[]): Promise<{ status: number, printed: string, complaints: string }> => {
      const child = spawn(process.execPath, [RUN, '--tiny', '--out', out, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      const [printed, complaints, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
      return { status: Number(status), printed, complaints }
    }
    const { status, printed, complaints } = await bench(
      '--no-build',
      '--node',
      process.execPath,
      '--contenders',
      'Countersign,node:http + undici',
      '--only',
      'get,latency,files'
    )
    t.equal(status, 0, complaints)
    const data = JSON.parse(readFileSync(join(out, 'performance.json'), 'utf8')) as {
      about: { node: string, absent: string[] }
      parts: { get: { figures: Record<string, Array<Array<{ all: number }>>> } }
    }
    t.equal(data.about.node, process.version)
    t.ok(data.about.absent.includes('nginx'), 'who does not take part is named')
    for (const name of ['Countersign', 'node:http + undici']) {
      const spent = data.parts.get.figures[name]?.flat() ?? []
      t.ok(spent.length > 0 && spent.every(({ all }) => all > 0), `${name} took CPU time`)
      t.match(printed, new RegExp(`^\\| (?:\\*\\*)?${name.replace('+', '\\+')}(?:\\*\\*)? \\| [\\d.]+ µs \\|`, 'm'))
    }
    t.match(printed, /^\| CPU per small GET, × node:http \+ undici \| 1\.00 \| [\d.]+ \| (?:yes|\*\*no\*\*) \|$/m)
    t.match(printed, /^\| each route \| 24\.0 KiB \| – \| not measured \|$/m)
    const written = readFileSync(join(out, 'performance.md'), 'utf8')
    for (const [, chart = ''] of written.matchAll(/\]\((performance\/.*?\.svg)\)/g)) {
      t.match(readFileSync(join(out, chart), 'utf8'), /^<svg .*<\/svg>\n$/s, chart)
    }
    t.ok(existsSync(join(out, 'performance/cpu-get.svg')))
    t.equal((await bench('--render')).status, 0)
    t.equal(readFileSync(join(out, 'performance.md'), 'utf8'), written, 'the same is made of the figures alone')
    const refused = await bench('--only', 'got')
    t.not(refused.status, 0)
    t.match(refused.complaints, /no such name: got; there are get, post, /)
  }
)

/** Makes the documents of the raw figures, and of nothing else. */
import { CONNECTIONS } from '../settings.js'
import {
  cpuSection,
  filesSection,
  latencySection,
  loginsSection,
  memorySection,
  scrapeSection,
  startSection,
  streamsSection
} from './sections.js'
import { targetsTable } from './targets.js'
import { count, table } from './words.js'

const SECTIONS = {
  get: cpuSection('get'),
  post: cpuSection('post'),
  '64k': cpuSection('64k'),
  latency: latencySection,
  streams: streamsSection,
  logins: loginsSection,
  memory: memorySection,
  start: startSection,
  scrape: scrapeSection,
  files: filesSection
}

/** Returns the text of each file by its name: `performance.md` and the charts that it shows. */
export function render ({ about, parts }) {
  const sections = Object.entries(SECTIONS).filter(([part]) => parts[part] !== undefined)
    .map(([part, section]) => section(parts[part].figures, about, parts))
  const figures = Object.fromEntries(Object.entries(parts).map(([part, { figures }]) => [part, figures]))
  const text = [
    '# Performance',
    introduction(about),
    `## Targets\n\n${targetsTable(figures)}`,
    ...sections.map(({ title, text, charts }) =>
      [`## ${title}`, ...Object.keys(charts).map((name) => `![${title}](performance/${name}.svg)`), text].join('\n\n')
    ),
    `## How it was measured\n\n${method(about)}`,
    `${machineTable(about)}\n\n${runsTable(parts)}`
  ].join('\n\n')
  const charts = sections.flatMap((section) => Object.entries(section.charts)).map(([name, svg]) => [`performance/${name}.svg`, svg])
  return { 'performance.md': `${text}\n`, ...Object.fromEntries(charts) }
}

function introduction ({ size, node, machine }) {
  return [
    size === 'full' ? undefined : '**A run with few requests, to see that it works. No figure here means anything.**',
    `Countersign as it ships, with guards, injection, metrics, replay and access log on, beside other proxies, on Node ${node} and ${machine.cores} cores of ${machine.cpu}. \`npm run bench\` repeats it and writes this page; what runs for hours is in [endurance.md](endurance.md). Absolute figures are those of this machine; what carries over is how they compare.`
  ]
    .filter((line) => line !== undefined)
    .join('\n\n')
}

function method ({ settings, upstream, node }) {
  const { get, '64k': large } = settings.requests
  return [
    `- ${count(settings.processes)} processes of each proxy, one after the other; the proxies take turns in ${settings.rounds} rounds of ${count(get)} requests (${count(large)} of 64 KiB) over ${CONNECTIONS} keep-alive connections, backwards every other time. Ratios are those of the same round; each figure is a median.`,
    `- Before anything counts, each process on Node serves ${count(settings.warmUp)} requests, and again ${count(settings.warmUpNext.post)} of 1 KiB and ${count(settings.warmUpNext['64k'])} of 64 KiB before those; the others a fifth. V8 compiles for the first ten thousand and more, on threads of its own, which is why the main thread is listed apart.`,
    "- CPU time is what the kernel's scheduler counted for the proxy's process, all threads. Memory is `VmRSS` and `VmHWM`.",
    `- The upstream is ${upstream}, and node:http where bodies of 1 GiB pass; the client uses bare sockets. Each is a process of its own, and all share one machine.`,
    '- Every proxy strips a prefix and puts a bearer token of 900 bytes into the request, in place of the one that the client sent. None but Countersign writes an access log; Countersign without it is listed beside.',
    "- nginx and HAProxy run with one process and one thread; Go and Caddy with as many threads as Go's runtime wants. All keep connections on both sides, and buffer nothing on disk.",
    `- \`node:http + undici\` is the least that these two can do on ${node} and still be a proxy (\`bench/contenders/node/undici.js\`).`
  ].join('\n')
}

function machineTable ({ machine, node, versions, absent }) {
  return table(['', ''], [
    ['machine', `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.kernel}`],
    ['Node', node],
    ...Object.entries(versions),
    ['absent', absent.length > 0 ? absent.join(', ') : 'nobody']
  ])
}

function runsTable (parts) {
  return table(
    ['part', 'measured at', 'commit', 'load of the machine before, after', 'took', 'failed'],
    Object.entries(parts).map(([part, { measuredAt, commit = '–', load, seconds, failed }]) => [
      part,
      measuredAt,
      commit,
      load.join(', '),
      `${seconds} s`,
      Object.keys(failed).join(', ') || 'nobody'
    ])
  )
}

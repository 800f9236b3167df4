import { readdirSync, readFileSync } from 'node:fs'

/** Reads how much memory, CPU and files a process of this machine uses, from /proc and from its own /metrics. */
export async function readVitals (pid, admin) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  const metrics = await (await fetch(`http://${admin}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()
  const samples = metrics
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter(Boolean)
  const sum = (name, labels = '') =>
    samples
      .filter(([, metric, given = '']) => metric === name && given.includes(labels))
      .reduce((total, [, , , value]) => total + Number(value), 0)
  return {
    rssMiB: number('VmRSS') / 1024,
    threads: number('Threads'),
    fds: readdirSync(`/proc/${pid}/fd`).length,
    handles: sum('nodejs_active_handles_total'),
    timers: sum('nodejs_active_resources', 'type="Timeout"'),
    cpuSeconds: sum('process_cpu_seconds_total'),
    reloads: sum('countersign_reloads_total'),
    refreshes: sum('countersign_token_fetches_total', 'kind="refresh",outcome="ok"'),
    logins: sum('countersign_token_fetches_total', 'kind="login",outcome="ok"'),
    /** Exchanges with its provider so far, for each credential. */
    fetches: (credential) => sum('countersign_token_fetches_total', `credential="${credential}"`)
  }
}

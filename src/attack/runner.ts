import type { Attack, Target, Variant } from './attack.ts'
import { arrivalProblems, judge, type Observation, type Verdict } from './judge.ts'
import { request } from './request.ts'
import { sendRaw, type Outcome } from './wire.ts'

/** The result of one variant. */
export interface Result {
  readonly attack: Attack
  readonly target: Target
  readonly variant: Variant
  readonly verdict: Verdict
  /** Empty where nothing got through. */
  readonly problems: readonly string[]
  readonly outcome: Outcome
}

export interface RunOptions {
  /** Every route of the proxy: an attack on one must not reach another. */
  readonly targets: readonly Target[]
  readonly attacks: readonly Attack[]
  /** For one variant, in milliseconds. */
  readonly deadlineMs: number
}

/**
 * Tries every variant of every attack on every route, one after the other. A plain request after each attack has to succeed:
 * it shows that the proxy is alive and does not refuse everything, and it reveals a request that was smuggled in front of it.
 */
export async function runAttacks ({ targets, attacks, deadlineMs }: RunOptions): Promise<Result[]> {
  const results: Result[] = []
  const watch = createWatch(targets)
  for (const [index, target] of targets.entries()) {
    for (const attack of attacks) {
      if (attack.scope === 'proxy' && index > 0) continue
      const variants = attack.variants(target)
      for (const [place, variant] of variants.entries()) {
        const port = variant.admin === true ? target.adminPort ?? 0 : target.port
        const outcome = await sendRaw(variant.bytes, { port, deadlineMs, cut: variant.cut === true, leave: variant.leaves === true })
        const { verdict, problems } = judge(variant, target, { outcome, ...watch.next() })
        const afterwards = place === variants.length - 1 ? await tryPlain(target, watch, deadlineMs) : []
        results.push({ attack, target, variant, outcome, verdict, problems: [...problems, ...afterwards] })
      }
    }
  }
  return results
}

/** Sends a plain request. Returns the problems. */
async function tryPlain (target: Target, watch: Watch, deadlineMs: number): Promise<string[]> {
  const { responses } = await sendRaw(request(target), { port: target.port, deadlineMs })
  const { reached } = watch.next()
  const served = reached.at(-1)
  if (responses[0]?.status !== 200 || served?.target.upstream !== target.upstream) {
    return ['afterwards a plain request is not served any more']
  }
  return [
    ...(reached.length > 1 ? ['afterwards a request reached an upstream that nobody sent'] : []),
    ...arrivalProblems(target, served.arrival).map((problem) => `afterwards, in a plain request: ${problem}`)
  ]
}

/** Takes the requests that reached all upstreams since the last call. */
interface Watch {
  readonly next: () => Pick<Observation, 'reached' | 'bytes'>
}

function createWatch (targets: readonly Target[]): Watch {
  // A route with a prefix and a listener of its own is two targets in front of one upstream.
  const upstreams = [...new Map(targets.map((target) => [target.upstream, target] as const)).values()].map((target) => ({
    target,
    arrivals: target.upstream.arrivals.length,
    bytes: target.upstream.bytes()
  }))
  return {
    next: () => {
      const reached: Array<Observation['reached'][number]> = []
      let bytes = 0
      for (const seen of upstreams) {
        const { upstream } = seen.target
        reached.push(...upstream.arrivals.slice(seen.arrivals).map((arrival) => ({ target: seen.target, arrival })))
        bytes += upstream.bytes() - seen.bytes
        seen.arrivals = upstream.arrivals.length
        seen.bytes = upstream.bytes()
      }
      return { reached, bytes }
    }
  }
}

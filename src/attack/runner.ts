import type { Attack, Target, Variant } from './attack.ts'
import { arrivalFaults, judge, type Observation, type Verdict } from './judge.ts'
import { request } from './request.ts'
import { sendRaw, type Outcome } from './wire.ts'

/** What came of one variant. */
export interface Result {
  readonly attack: Attack
  readonly target: Target
  readonly variant: Variant
  readonly verdict: Verdict
  /** Empty where nothing got through. */
  readonly faults: readonly string[]
  readonly outcome: Outcome
}

export interface RunOptions {
  /** Every route of the proxy: an attack on one must not reach another. */
  readonly targets: readonly Target[]
  readonly attacks: readonly Attack[]
  /** For one variant, in milliseconds. */
  readonly deadlineMs: number
  /** Called with each result as it comes. */
  readonly onResult?: (result: Result) => void
}

/**
 * Tries every variant of every attack on every route, one after the other. Behind each goes a plain request that has to
 * succeed: the proxy is alive, it does not refuse everything, and what was smuggled in front of it is seen.
 */
export async function runAttacks ({ targets, attacks, deadlineMs, onResult }: RunOptions): Promise<Result[]> {
  const results: Result[] = []
  for (const [index, target] of targets.entries()) {
    for (const attack of attacks) {
      if (attack.scope === 'proxy' && index > 0) continue
      for (const variant of attack.variants(target)) {
        const result = await attempt(attack, variant, target, targets, deadlineMs)
        results.push(result)
        onResult?.(result)
      }
    }
  }
  return results
}

async function attempt (attack: Attack, variant: Variant, target: Target, targets: readonly Target[], deadlineMs: number): Promise<Result> {
  // A route with a prefix and a listener of its own is two targets in front of one upstream.
  const upstreams = [...new Map(targets.map((one) => [one.upstream, one] as const)).values()]
  const before = upstreams.map(({ upstream }) => ({ arrivals: upstream.arrivals.length, bytes: upstream.bytes() }))
  const port = variant.admin === true ? target.adminPort ?? 0 : target.port
  const outcome = await sendRaw(variant.bytes, { port, deadlineMs, cut: variant.cut === true })
  const bytes = upstreams.reduce((sum, { upstream }, index) => sum + upstream.bytes() - (before[index]?.bytes ?? 0), 0)

  const faults: string[] = []
  const plain = await sendRaw(request(target), { port: target.port, deadlineMs })
  const arrived = upstreams.flatMap((there, index) => there.upstream.arrivals.slice(before[index]?.arrivals).map((arrival) => ({ target: there, arrival })))
  const last = arrived.findLastIndex(({ target: there }) => there.upstream === target.upstream)
  const control = arrived[last]
  if (plain.answers[0]?.status !== 200 || control === undefined) faults.push('afterwards a plain request is not served any more')
  else faults.push(...arrivalFaults(target, control.arrival).map((fault) => `afterwards, in a plain request: ${fault}`))

  const observation: Observation = { outcome, reached: arrived.filter((_, index) => index !== last), bytes }
  const judged = judge(variant, target, observation)
  return { attack, target, variant, outcome, verdict: judged.verdict, faults: [...judged.faults, ...faults] }
}

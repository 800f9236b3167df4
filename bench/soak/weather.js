import { FAULTS } from './provider.js'

/** How long faults last: shorter and longer than what a 60-second token has left when it is refreshed, and than its whole life. */
const SPELLS_MS = [[1_000, 8_000], [8_000, 30_000], [70_000, 120_000]]
/** The early second try after a refusal comes after 5 s, and after it there is none for 15 min. */
const DISGUISE_MS = 4_000
const FAIR_MS = [10_000, 60_000]
const MOODS = ['revokes', 'revokes', 'refuses', 'resets', 'fails']

/** Makes one provider misbehave now and then, until the signal aborts. Its faults and its pauses come from `random` alone. */
export async function troubleProvider (name, provider, { random, signal, say }) {
  while (await pause(random.between(...FAIR_MS), signal)) {
    const fault = random.pick([...FAULTS, 'in disguise', ...provider.revoke === undefined ? [] : ['revoked', 'revoked']])
    const ms = fault === 'in disguise' ? DISGUISE_MS : random.between(...random.pick(SPELLS_MS))
    if (fault === 'revoked') {
      say(`${name}: refresh tokens revoked`)
      provider.revoke()
      continue
    }
    say(`${name}: ${fault} for ${Math.round(ms / 1000)} s`)
    provider.become(fault, { slowMs: random.between(500, 4_000) })
    await pause(ms, signal)
    provider.become('fair')
  }
}

/** The same for the upstream: bursts of 401 for the tokens in use or for all, resets, errors. */
export async function troubleUpstream (upstream, ledger, { random, signal, say }) {
  while (await pause(random.between(10_000, 45_000), signal)) {
    const mood = random.pick(MOODS)
    if (mood === 'revokes') {
      say('upstream: refuses the tokens in use')
      ledger.revokeAll()
      continue
    }
    const ms = random.between(2_000, 15_000)
    say(`upstream: ${mood} for ${Math.round(ms / 1000)} s`)
    upstream.mood = mood
    await pause(ms, signal)
    upstream.mood = 'fair'
  }
}

/** Resolves after so many milliseconds with true, or at once with false when the signal aborts. */
export function pause (ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    const end = (whole) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      resolve(whole)
    }
    const abort = () => { end(false) }
    const timer = setTimeout(end, ms, true)
    signal.addEventListener('abort', abort, { once: true })
  })
}

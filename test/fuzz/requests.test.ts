/**
 * Any request at all, thousands of them: what reaches an upstream has exactly one of each injected field, on its own
 * route's upstream, within its base path; what is refused sends nothing; and nothing crashes, hangs or answers twice.
 *
 * A small run with a fixed seed belongs to the suite. `npm run fuzz -- RUNS [SEED]` does as many as are wanted.
 */
import fc from 'fast-check'
import t from 'tap'
import { fuzzedRequest } from './requests.ts'
import { startStage } from './stage.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 600)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261120)
/** Requests at a time on average, each on a connection of its own. */
const AT_ONCE = 32
/** A stage keeps all that it has seen. */
const PER_STAGE = 10_000

const totals = { requests: 0, reached: 0, statuses: new Map<number, number>() }

for (let first = 0; first < RUNS; first += PER_STAGE) {
  const runs = Math.min(PER_STAGE, RUNS - first)
  t.test(`requests ${first + 1} to ${first + runs}`, async (t) => {
    const { judge, figures, proxy } = await startStage(t)
    await fc.assert(
      fc.asyncProperty(fc.array(fuzzedRequest, { minLength: 1, maxLength: 2 * AT_ONCE - 1, size: 'max' }), async (requests) => {
        totals.requests += requests.length
        const failures = (
          await Promise.all(
            requests.map(async (request) => {
              const failure = await judge(request)
              return failure === undefined ? [] : [`${failure}\n${JSON.stringify(request)}`]
            })
          )
        ).flat()
        if (failures.length > 0) throw new Error(failures.join('\n'))
      }),
      { numRuns: Math.ceil(runs / AT_ONCE), seed: SEED + first }
    )
    totals.reached += figures.reached
    for (const [status, count] of figures.statuses) totals.statuses.set(status, (totals.statuses.get(status) ?? 0) + count)
    t.same(proxy.lines().filter(({ level }) => level === 'error'), [])
    t.notMatch(proxy.logged(), 'CANARY')
    t.ok(figures.reached > runs / 10, `${figures.reached} of ${runs} reached an upstream`)
  })
}

t.test('in all', async (t) => {
  const responses = [...totals.statuses].sort(([one], [other]) => one - other).map(([status, count]) => `${status} × ${count}`)
  t.comment(`${totals.requests} requests, ${totals.reached} reached an upstream; answers: ${responses.join(', ')}`)
  t.ok(totals.requests > 0)
})

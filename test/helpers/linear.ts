import type { Test } from 'tap'

/** Far below what quadratic work needs, which is 16 times as much. */
const MOST_TIMES = 10
/** CPU time that says nothing: ticks of the clock, a collection of garbage. */
const NOISE_MS = 60

/**
 * Asserts that work grows with its input and no faster: by the CPU time that it takes for n and 4n.
 *
 * @param make the input of a size
 */
export function isLinear<Input> (t: Test, what: string, make: (size: number) => Input, work: (input: Input) => unknown, size = 100_000): void {
  const [small, large] = [make(size), make(4 * size)]
  work(small)
  const [once, fourTimes] = [cpuOf(() => work(small)), cpuOf(() => work(large))]
  t.ok(fourTimes < MOST_TIMES * once + NOISE_MS, `${what}: ${once.toFixed(1)} ms, ${fourTimes.toFixed(1)} ms for four times as much`)
}

function cpuOf (work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

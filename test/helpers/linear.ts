import type { Test } from 'tap'

/** Far below what quadratic work needs, which is 16 times as much. */
const MOST_TIMES = 10
/** CPU time that says nothing: ticks of the clock, a collection of garbage. */
const NOISE_MS = 60
const RETRIES = 3

/**
 * Asserts that work grows with its input and no faster: by the CPU time that it takes for n and 4n.
 *
 * @param make the input of a size
 */
export function isLinear<Input> (
  t: Test,
  what: string,
  make: (size: number) => Input,
  work: (input: Input) => unknown,
  size = 100_000
): void {
  const [small, large] = [make(size), make(4 * size)]
  work(small)
  let [once, fourTimes] = [cpuOf(() => work(small)), cpuOf(() => work(large))]
  // Other threads of the process count as well, and work there when they like; what is quadratic is so every time.
  for (let more = 0; more < RETRIES && !isBelow(once, fourTimes); more++) {
    ;[once, fourTimes] = [cpuOf(() => work(small)), cpuOf(() => work(large))]
  }
  t.ok(isBelow(once, fourTimes), `${what}: ${once.toFixed(1)} ms, ${fourTimes.toFixed(1)} ms for four times as much`)
}

function isBelow (once: number, fourTimes: number): boolean {
  return fourTimes < MOST_TIMES * once + NOISE_MS
}

function cpuOf (work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

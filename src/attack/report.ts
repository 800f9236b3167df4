import type { Attack, Must, Target } from './attack.ts'
import type { Result } from './runner.ts'

/** The counts of one group on one route. */
interface GroupCount {
  readonly route: string
  readonly group: string
  readonly refused: number
  /** Variants that reached the upstream and did no harm. */
  readonly passed: number
  readonly gotThrough: number
  /** Attacks that have nothing to try on this route: it has no allow list, say. */
  readonly notApplicable: readonly string[]
}

/** One variant that did harm. */
interface Failure {
  readonly route: string
  readonly id: string
  readonly name: string
  readonly advisory?: string
  readonly variant: string
  readonly why: string
  /** Escaped, and cut where it is long. */
  readonly sent: string
  readonly came: string
  readonly wanted: string
  readonly problems: readonly string[]
}

export interface Report {
  readonly attempts: number
  readonly counts: readonly GroupCount[]
  readonly failures: readonly Failure[]
}

// Enough to see what was sent; an attack may be 64 KiB long.
const SHOWN = 600

/** Sums results up. No secret is in them: the proxy that was attacked held canaries only, and those are masked. */
export function createReport (
  results: readonly Result[],
  targets: readonly Target[],
  corpus: Readonly<Record<string, readonly Attack[]>>
): Report {
  const counts = targets.flatMap((target, index) =>
    Object.entries(corpus).map(([group, attacks]) => {
      const own = results.filter((result) => result.target === target && attacks.includes(result.attack))
      return {
        route: target.label,
        group,
        refused: own.filter(({ problems, verdict }) => problems.length === 0 && verdict === 'refused').length,
        passed: own.filter(({ problems, verdict }) => problems.length === 0 && verdict === 'passed').length,
        gotThrough: own.filter(({ problems }) => problems.length > 0).length,
        notApplicable: attacks
          .filter((attack) => (attack.scope === undefined || index === 0) && !own.some((result) => result.attack === attack))
          .map(({ id }) => id)
      }
    })
  )
  return { attempts: results.length, counts, failures: results.filter(({ problems }) => problems.length > 0).map(failureOf) }
}

/** The report for a person. */
export function formatReport ({ attempts, counts, failures }: Report): string {
  const lines: string[] = []
  for (const route of new Set(counts.map((count) => count.route))) {
    lines.push(route)
    for (const { group, refused, passed, gotThrough, notApplicable } of counts.filter((count) => count.route === route)) {
      const rest = notApplicable.length === 0 ? '' : `   not applicable: ${notApplicable.join(', ')}`
      lines.push(
        `  ${group.padEnd(9)}${String(refused).padStart(5)} refused ${String(passed).padStart(5)} passed harmlessly ${String(gotThrough).padStart(5)} got through${rest}`
      )
    }
    lines.push('')
  }
  for (const { route, id, name, advisory, variant, why, sent, came, wanted, problems } of failures) {
    lines.push(
      `GOT THROUGH ${id} on ${route}: ${name}${advisory === undefined ? '' : ` (${advisory})`}`,
      `  variant  ${printable(variant)}`,
      `  why      ${why}`,
      `  sent     ${sent}`,
      `  came     ${came}`,
      `  wanted   ${wanted}`,
      ...problems.map((problem) => `  fault    ${problem}`),
      ''
    )
  }
  const routes = new Set(counts.map((count) => count.route)).size
  lines.push(
    `${attempts} attempts on ${routes} ${routes === 1 ? 'route' : 'routes'}: ${failures.length === 0 ? 'nothing got through' : `${failures.length} got through`}`
  )
  return `${lines.join('\n')}\n`
}

function failureOf ({ attack, target, variant, outcome, problems }: Result): Failure {
  const [response] = outcome.responses
  const came = response === undefined ? (outcome.late ? 'nothing' : 'an end of the connection') : `${response.status} ${response.body}`
  return {
    route: target.label,
    id: attack.id,
    name: attack.name,
    ...(attack.advisory !== undefined && { advisory: attack.advisory }),
    variant: variant.what,
    why: attack.why,
    sent: shown(variant.bytes, target),
    came: shown(came, target),
    wanted: describeMust(variant.must),
    problems: problems.map((problem) => shown(problem, target))
  }
}

function describeMust ({ refused, passed, elsewhere }: Must): string {
  const ways = [
    ...(refused === undefined
      ? []
      : [
          `${refused.statuses.join(' or ')}${refused.code === undefined ? '' : ` ${refused.code}`}${refused.closes === true ? ', the connection closed' : ''}, and nothing at the upstream`
        ]),
    ...(passed === undefined ? [] : ['exactly one request at the upstream, with exactly one of each injected field, ours']),
    ...(elsewhere === true ? ["another route's verdict"] : [])
  ]
  return ways.join('; or ')
}

function shown (text: string, { canaries }: Target): string {
  const masked = canaries.reduce((rest, canary) => rest.replaceAll(canary, '[canary]'), text)
  return printable(masked.length > SHOWN ? `${masked.slice(0, SHOWN)}… (${masked.length} bytes)` : masked)
}

/** With escapes for what a terminal would act on. */
function printable (text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replace(/[\x7f-\xff]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16)}`)
}

import { foldName } from '../http/headers.ts'
import type { Passage, Refusal, Target, Variant } from './attack.ts'
import { valuesOf } from './http-reader.ts'
import { fieldFaults } from './injected-fields.ts'
import type { Arrival } from './recorder.ts'
import type { Outcome, WireAnswer } from './wire.ts'

/** What a variant led to: the client's side, and what reached the upstreams because of it. */
export interface Observation {
  readonly outcome: Outcome
  readonly reached: ReadonlyArray<{ readonly target: Target, readonly arrival: Arrival }>
  /** Bytes at all upstreams together, those of no whole request included. */
  readonly bytes: number
}

export type Verdict = 'refused' | 'passed'

/** @returns what became of the variant, and everything that should not have been */
export function judge (variant: Variant, target: Target, observation: Observation): { readonly verdict: Verdict, readonly faults: readonly string[] } {
  const { outcome, reached, bytes } = observation
  const { must } = variant
  const [answer, ...more] = outcome.answers
  const faults = [...reached.flatMap(({ target: there, arrival }) => arrivalFaults(there, arrival)), ...outcomeFaults(target, outcome)]
  if (more.length > 0 && variant.several !== true) faults.push(`${more.length + 1} answers came to what is one request`)
  const elsewhere = must.elsewhere === true && reached.length === 1 && reached[0]?.target.upstream !== target.upstream
  if (reached.length > 0) {
    if (must.passed !== undefined) faults.push(...passageFaults(must.passed, target, reached))
    else if (!elsewhere) faults.push('it reached the upstream')
    return { verdict: 'passed', faults }
  }
  if (bytes > 0) faults.push(`${bytes} bytes reached an upstream`)
  if (must.refused === undefined) faults.push('it did not reach the upstream')
  else if (variant.leaves !== true) faults.push(...refusalFaults(must.refused, answer, outcome, variant.cut === true))
  return { verdict: 'refused', faults }
}

function refusalFaults ({ statuses, code, closes }: Refusal, answer: WireAnswer | undefined, outcome: Outcome, cut: boolean): string[] {
  if (answer === undefined) return [outcome.late ? 'no answer came' : 'the connection was closed without an answer']
  const faults: string[] = []
  if (!statuses.includes(answer.status)) faults.push(`the answer is ${answer.status}`)
  if (!isOwn(answer)) faults.push('the answer is not the proxy\'s own')
  if (code !== undefined && codeOf(answer) !== undefined && codeOf(answer) !== code) faults.push(`the code is ${codeOf(answer) ?? ''}`)
  if (closes === true && (!announcesClose(answer) || (!cut && !outcome.closed))) faults.push('the connection stays open')
  return faults
}

/** What must be true of every answer, whatever was sent. */
function outcomeFaults ({ canaries }: Target, { answers, received, late }: Outcome): string[] {
  const faults: string[] = []
  if (late) faults.push('the connection was neither answered nor closed in time')
  if (canaries.some((canary) => received.includes(canary))) faults.push('the answer holds a secret')
  for (const answer of answers) {
    if (answer.fields.some(([name]) => /^access-control-/i.test(name))) faults.push('the answer has CORS headers')
    if (!isOwn(answer)) continue
    if (valuesOf(answer.fields, 'x-content-type-options').join() !== 'nosniff') faults.push('the answer lacks X-Content-Type-Options: nosniff')
    if (valuesOf(answer.fields, 'cross-origin-resource-policy').join() !== 'same-origin') faults.push('the answer lacks Cross-Origin-Resource-Policy: same-origin')
  }
  return faults
}

function passageFaults ({ target: wanted, without = [], holds = [] }: Passage, target: Target, reached: Observation['reached']): string[] {
  const [first] = reached
  if (first === undefined || reached.length > 1) return [`${reached.length} requests reached the upstream`]
  if (first.target.upstream !== target.upstream) return [`it reached the upstream of ${first.target.label}`]
  const { raw, startLine } = first.arrival
  const sent = startLine.split(' ')[1] ?? ''
  const faults: string[] = []
  if (wanted !== undefined && !sent.startsWith(target.basePath + wanted)) faults.push(`the upstream got the target ${JSON.stringify(sent)}`)
  for (const text of without) if (raw.toLowerCase().includes(text.toLowerCase())) faults.push(`the upstream got ${JSON.stringify(text)}`)
  for (const text of holds) if (!raw.includes(text)) faults.push(`the upstream did not get ${JSON.stringify(text)}`)
  return faults
}

// Never passed on, whatever the route (contract section 4), in the form in which names are compared.
const NEVER = /^(?:forwarded|x-forwarded-.*|x-original-url|x-rewrite-url|proxy-authorization|x-countersign-token|proxy-connection|keep-alive|te|trailer|http2-settings|expect)$/

/** What must be true of every request that reaches an upstream, whatever was sent. */
export function arrivalFaults (target: Target, { startLine, fields, body, raw }: Arrival): string[] {
  const faults: string[] = []
  const [method = '', sent = '', version, ...rest] = startLine.split(' ')
  if (version !== 'HTTP/1.1' || rest.length > 0) faults.push(`the upstream got the request line ${JSON.stringify(startLine)}`)
  if (!staysInside(sent, target.basePath)) faults.push(`the upstream got the target ${JSON.stringify(sent)}, which leaves its base path`)
  if (valuesOf(fields, 'host').join() !== `127.0.0.1:${target.upstream.port}`) faults.push('the upstream got a Host that is not its own, or several')
  for (const [name] of fields) if (NEVER.test(foldName(name))) faults.push(`the upstream got the header ${name}`)
  if (fields.filter(([name]) => /^(?:content-length|transfer-encoding)$/.test(foldName(name))).length > 1) faults.push('the upstream got more than one framing')
  if (target.callerToken !== undefined && raw.includes(target.callerToken)) faults.push('the upstream got the caller token')
  const own = new Set(target.injected.map(({ value }) => value))
  const foreign = target.canaries.filter((canary) => ![...own].some((value) => value?.includes(canary)))
  if (foreign.some((canary) => raw.includes(canary))) faults.push('the upstream got a credential of another route')
  faults.push(...fieldFaults(target, method, sent, fields, body))
  return faults
}

// As the most eager reader would take it: every escape decoded, twice, and parameters cut off.
function staysInside (sent: string, basePath: string): boolean {
  const path = sent.split('?')[0] ?? ''
  if (path !== basePath && !path.startsWith(`${basePath}/`)) return false
  if (path.startsWith('//')) return false
  const read = lenient(path)
  return !read.includes('\\') && !lenient(read).split(/[/\\]/).some((segment) => /^\.{1,2}(?:;.*)?$/.test(segment))
}

function lenient (text: string): string {
  return text.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

function isOwn ({ fields }: WireAnswer): boolean {
  return valuesOf(fields, 'proxy-status').some((value) => /^countersign\b/.test(value))
}

function announcesClose ({ fields }: WireAnswer): boolean {
  return valuesOf(fields, 'connection').some((value) => /\bclose\b/i.test(value))
}

/** The code of one of our own answers; undefined where the answer has no body, as to HEAD. */
function codeOf ({ body }: WireAnswer): string | undefined {
  return /"code":"(CS_\w+)"/.exec(body)?.[1]
}

import { foldName } from '../http/headers.ts'
import type { Passage, Rejection, Target, Variant } from './attack.ts'
import { valuesOf } from './http-reader.ts'
import { fieldProblems } from './injected-fields.ts'
import type { Arrival } from './recorder.ts'
import type { Outcome, WireResponse } from './wire.ts'

/** The effects of a variant: at the client, and at the upstreams. */
export interface Observation {
  readonly outcome: Outcome
  readonly reached: ReadonlyArray<{ readonly target: Target, readonly arrival: Arrival }>
  /** Bytes at all upstreams together, including those of incomplete requests. */
  readonly bytes: number
}

export type Verdict = 'refused' | 'passed'

/** Judges the effects of a variant. @returns whether it was refused or passed on, and every problem */
export function judge (
  variant: Variant,
  target: Target,
  observation: Observation
): { readonly verdict: Verdict, readonly problems: readonly string[] } {
  const { outcome, reached, bytes } = observation
  const { must } = variant
  const [response, ...more] = outcome.responses
  const problems = [
    ...reached.flatMap(({ target: there, arrival }) => arrivalProblems(there, arrival)),
    ...outcomeProblems(target, outcome)
  ]
  if (more.length > 0 && variant.several !== true) problems.push(`${more.length + 1} responses came to one request`)
  const elsewhere = must.elsewhere === true && reached.length === 1 && reached[0]?.target.upstream !== target.upstream
  if (reached.length > 0) {
    if (must.passed !== undefined) problems.push(...passageProblems(must.passed, target, reached))
    else if (!elsewhere) problems.push('it reached the upstream')
    return { verdict: 'passed', problems }
  }
  if (bytes > 0) problems.push(`${bytes} bytes reached an upstream`)
  if (must.refused === undefined) problems.push('it did not reach the upstream')
  else if (variant.leaves !== true) problems.push(...rejectionProblems(must.refused, response, outcome, variant.cut === true))
  return { verdict: 'refused', problems }
}

function rejectionProblems (
  { statuses, code, closes }: Rejection,
  response: WireResponse | undefined,
  outcome: Outcome,
  cut: boolean
): string[] {
  if (response === undefined) return [outcome.late ? 'no response came' : 'the connection was closed without a response']
  const problems: string[] = []
  if (!statuses.includes(response.status)) problems.push(`the response is ${response.status}`)
  if (!isOwn(response)) problems.push("the response is not the proxy's own")
  if (code !== undefined && codeOf(response) !== undefined && codeOf(response) !== code) {
    problems.push(`the code is ${codeOf(response) ?? ''}`)
  }
  if (closes === true && (!announcesClose(response) || (!cut && !outcome.closed))) problems.push('the connection stays open')
  return problems
}

/** Checks the rules for every response, whatever was sent. */
function outcomeProblems ({ canaries }: Target, { responses, received, late }: Outcome): string[] {
  const problems: string[] = []
  if (late) problems.push('the connection was neither answered nor closed in time')
  if (canaries.some((canary) => received.includes(canary))) problems.push('the response holds a secret')
  for (const response of responses) {
    if (response.fields.some(([name]) => /^access-control-/i.test(name))) problems.push('the response has CORS headers')
    if (!isOwn(response)) continue
    if (valuesOf(response.fields, 'x-content-type-options').join() !== 'nosniff') {
      problems.push('the response lacks X-Content-Type-Options: nosniff')
    }
    if (valuesOf(response.fields, 'cross-origin-resource-policy').join() !== 'same-origin') {
      problems.push('the response lacks Cross-Origin-Resource-Policy: same-origin')
    }
  }
  return problems
}

function passageProblems ({ target: wanted, without = [], holds = [] }: Passage, target: Target, reached: Observation['reached']): string[] {
  const [first] = reached
  if (first === undefined || reached.length > 1) return [`${reached.length} requests reached the upstream`]
  if (first.target.upstream !== target.upstream) return [`it reached the upstream of ${first.target.label}`]
  const { raw, startLine } = first.arrival
  const sent = startLine.split(' ')[1] ?? ''
  const problems: string[] = []
  if (wanted !== undefined && !sent.startsWith(target.basePath + wanted)) {
    problems.push(`the upstream got the target ${JSON.stringify(sent)}`)
  }
  for (const text of without) if (raw.toLowerCase().includes(text.toLowerCase())) problems.push(`the upstream got ${JSON.stringify(text)}`)
  for (const text of holds) if (!raw.includes(text)) problems.push(`the upstream did not get ${JSON.stringify(text)}`)
  return problems
}

// Headers that no route passes on (contract section 4), in the form in which names are compared.
const NEVER =
  /^(?:forwarded|x-forwarded-.*|x-original-url|x-rewrite-url|proxy-authorization|x-countersign-token|proxy-connection|keep-alive|te|trailer|http2-settings|expect)$/

/** Checks the rules for every request that reaches an upstream, whatever was sent. */
export function arrivalProblems (target: Target, { startLine, fields, body, raw }: Arrival): string[] {
  const problems: string[] = []
  const [method = '', sent = '', version, ...rest] = startLine.split(' ')
  if (version !== 'HTTP/1.1' || rest.length > 0) problems.push(`the upstream got the request line ${JSON.stringify(startLine)}`)
  if (!staysInside(sent, target.basePath)) problems.push(`the upstream got the target ${JSON.stringify(sent)}, which leaves its base path`)
  if (valuesOf(fields, 'host').join() !== `127.0.0.1:${target.upstream.port}`) {
    problems.push('the upstream got a Host that is not its own, or several')
  }
  for (const [name] of fields) if (NEVER.test(foldName(name))) problems.push(`the upstream got the header ${name}`)
  if (fields.filter(([name]) => /^(?:content-length|transfer-encoding)$/.test(foldName(name))).length > 1) {
    problems.push('the upstream got more than one framing')
  }
  if (target.callerToken !== undefined && raw.includes(target.callerToken)) problems.push('the upstream got the caller token')
  const own = new Set(target.injected.map(({ value }) => value))
  const foreign = target.canaries.filter((canary) => ![...own].some((value) => value?.includes(canary)))
  if (foreign.some((canary) => raw.includes(canary))) problems.push('the upstream got a credential of another route')
  problems.push(...fieldProblems(target, method, sent, fields, body))
  return problems
}

// Reads a path as the most eager reader would: every escape decoded, twice, and parameters cut off.
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

function isOwn ({ fields }: WireResponse): boolean {
  return valuesOf(fields, 'proxy-status').some((value) => /^countersign\b/.test(value))
}

function announcesClose ({ fields }: WireResponse): boolean {
  return valuesOf(fields, 'connection').some((value) => /\bclose\b/i.test(value))
}

/** The code of one of our own responses; undefined where the response has no body, as to HEAD. */
function codeOf ({ body }: WireResponse): string | undefined {
  return /"code":"(CS_\w+)"/.exec(body)?.[1]
}

import type { Attack } from './attack.ts'
import { BROWSER } from './browser.ts'
import { CALLERS } from './callers.ts'
import { FIELDS } from './fields.ts'
import { FRAMING } from './framing.ts'
import { HEADERS } from './headers.ts'
import { PATHS } from './paths.ts'
import { PIPELINING } from './pipelining.ts'
import { POLICY } from './policy.ts'

/** Every attack, grouped by the part of a request that it uses. */
export const CORPUS: Readonly<Record<string, readonly Attack[]>> = {
  browser: BROWSER,
  callers: CALLERS,
  headers: HEADERS,
  fields: FIELDS,
  paths: PATHS,
  policy: POLICY,
  framing: FRAMING,
  pipelining: PIPELINING
}

import { SHORTEST_MASKED } from '../../http/spellings.ts'
import type { RouteConfig } from '../config.ts'
import type { Context } from '../context.ts'
import type { Path } from '../problem.ts'
import { valueAt } from '../shape.ts'

/** Warns of the credentials and responses that a route's `scrub` cannot mask. */
export function checkScrub (bindings: RouteConfig['bindings'], path: Path, { document, credentials, reporter }: Context): void {
  const scrubPath = [...path, 'scrub']
  const warn = (message: string): void => { reporter.warning(scrubPath, message) }
  const sources = bindings.flatMap(({ value }) => value.type === 'relay' ? [] : [value])
  if (sources.length === 0) warn('is of no use, since the route injects no credential; remove it')
  for (const source of sources) {
    const credential = credentials.byName.get(source.credential)
    const fixed = source.type === 'fixed' ? source.value : credential?.config.type === 'static' ? credential.config.value : undefined
    if (fixed?.isShorterThan(SHORTEST_MASKED) === true) {
      warn(
        `a value of the route is shorter than ${SHORTEST_MASKED} characters and is not masked, since it would be found in other texts; ${LONGER}`
      )
    }
    if (source.type === 'token' && credential?.sends === 'basic' && (credential.fields.get('password') ?? '').length < SHORTEST_MASKED) {
      warn(`the password is shorter than ${SHORTEST_MASKED} characters and is masked only together with the username; ${LONGER}`)
    }
  }
  // A value in the file, either one, shows that its author thought of it.
  if (valueAt(document.value, [...path, 'websocket']) === undefined) {
    warn('does not reach into upgraded connections (WebSocket); set websocket of the route to false, or to true if they may pass unmasked')
  }
}

const LONGER = 'use a longer one'

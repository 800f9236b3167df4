/**
 * A request that the allow list holds, and that says in a header that it is another one: X-HTTP-Method-Override, X-Original-URL.
 * Frameworks that honour them do what the list does not hold, so a route with a list does not pass them on.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P10', (t) => resist(t, 'P10'))

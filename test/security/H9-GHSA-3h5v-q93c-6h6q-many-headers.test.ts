/**
 * Header lists of absurd length (GHSA-3h5v-q93c-6h6q, ws: a crash by the number of headers of an upgrade). And Node drops in silence what
 * is beyond its limit of 1,000: a second Host or a foreign Origin there would be seen by no guard.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H9', (t) => resist(t, 'H9'))

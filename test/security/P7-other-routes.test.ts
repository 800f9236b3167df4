/**
 * From one route's prefix to another route's upstream, by a path: the credential of the one would go to the other, or its request out
 * with the other's. Routes share nothing that a request can address.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P7', (t) => resist(t, 'P7'))

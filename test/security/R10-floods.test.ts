/**
 * More requests on one connection than all may have in flight: one connection must not take every place, and gives back
 * those that it had when it leaves.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('R10', (t) => resist(t, 'R10'))

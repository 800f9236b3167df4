/**
 * Requests that end too early, request lines that are none, and requests behind one that was refused: whoever made the first one ambiguous
 * also wrote the second, and it is never read.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('S4', (t) => resist(t, 'S4'))

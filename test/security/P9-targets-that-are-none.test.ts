/**
 * Blanks, raw high bytes and line ends in a target, and targets of absurd size.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P9', (t) => resist(t, 'P9'))

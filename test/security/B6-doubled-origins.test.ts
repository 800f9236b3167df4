/**
 * Two Origin or Sec-Fetch-Site headers, or two in one line: a guard that reads the first and a framework that merges them
 * otherwise do not speak of the same thing. More than one is refused, and a good one does not make up for a bad one.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('B6', (t) => resist(t, 'B6'))

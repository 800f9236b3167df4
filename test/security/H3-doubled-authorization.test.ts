/**
 * Adding a header where one is already (Dapr's Header.Add) leaves two Authorization headers: the upstream takes one, what stands
 * in front of it another. The client's own credentials are taken off first, in every case and number.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H3', (t) => resist(t, 'H3'))

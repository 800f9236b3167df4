/**
 * Request smuggling by Content-Length: two, a list, signs, hexadecimals, numbers beyond 64 bits. Readers differ in what they make of them.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('S2', (t) => resist(t, 'S2'))

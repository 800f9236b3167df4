/**
 * RFC 9112 section 3.2.2 lets the host of an absolute target win over Host. A guard that reads one of the two, in front of
 * a router that reads the other, lets a page choose. There is no forward proxy here, so absolute form is refused, whatever it says.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('B4', (t) => resist(t, 'B4'))

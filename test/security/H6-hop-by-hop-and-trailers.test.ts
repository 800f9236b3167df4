/**
 * TE, Trailer, Keep-Alive and their kin belong to this connection (RFC 9110 section 7.6.1), and a trailer `Authorization: evil` would
 * come behind every check that was made on the head. None reaches the upstream.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H6', (t) => resist(t, 'H6'))

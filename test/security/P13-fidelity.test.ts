/**
 * The other side of strictness: a query is data, and what looks like a path, a host or an escape in it reaches the upstream byte for byte.
 * A proxy that repairs what it need not touch breaks signatures, and judges something else than what it sends.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P13', (t) => resist(t, 'P13'))

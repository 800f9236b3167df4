/**
 * The proxy as a forward proxy: the metadata service of a cloud (169.254.169.254) by an absolute target or by CONNECT, or any other
 * host. The upstream's origin is a constant of the route, and no byte of a request can move it.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P8', (t) => resist(t, 'P8'))

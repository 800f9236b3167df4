/**
 * Methods that the allow list does not hold, in every way of saying so; and TRACE, which echoes the credentials, and CONNECT, which
 * opens a tunnel: those two are never forwarded.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P12', (t) => resist(t, 'P12'))

/**
 * //evil.example/x is a URL without a scheme: `new URL('//evil.example/x', upstream)` is another host, with this route's credential.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P4', (t) => resist(t, 'P4'))

/**
 * A request with a foreign Host says in X-Forwarded-Host, Forwarded or one of their kin that it was meant for localhost.
 * Programs behind a trusted proxy believe such headers. Nothing trusted stands in front of this one.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('B2', (t) => resist(t, 'B2'))

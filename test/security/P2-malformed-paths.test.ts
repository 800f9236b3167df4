/**
 * Backslashes, control characters, `#`, malformed and non-UTF-8 escapes in a path: every one is a place where two readers go on
 * differently.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('P2', (t) => resist(t, 'P2'))

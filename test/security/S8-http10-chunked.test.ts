/**
 * A coding in HTTP/1.0, whose readers know none (RFC 9112 section 6.1): to them the chunks are the next request.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('S8', (t) => resist(t, 'S8'))

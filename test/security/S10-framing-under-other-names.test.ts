/**
 * Content_Length is Content-Length to upstreams behind CGI: it must not reach them beside the real one.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('S10', (t) => resist(t, 'S10'))

/**
 * Values that make a parser throw: cookies, Referer, types, dates, Latin-1 bytes. One request may fail; the process and the next one may
 * not.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H10', (t) => resist(t, 'H10'))

/**
 * h2c smuggling: an `Upgrade: h2c` that is passed on turns the connection into a tunnel that no guard looks into. Clients also make the
 * offer in earnest (the Java client does with every first request), so it is dropped and the request goes on as the one that it also is.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H11', (t) => resist(t, 'H11'))

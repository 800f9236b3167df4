/**
 * HTTP/2.0, 0.9 and others in the form of HTTP/1.1: Node's parser lets some of them pass, and they are framed differently by those who
 * know them. TLS, SSH and the preface of HTTP/2 on a port that speaks HTTP/1.1.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('V2', (t) => resist(t, 'V2'))

/**
 * The injected field in the body of a POST given by the client as well: duplicate members of JSON (which one counts, RFC 8259
 * section 4 leaves open), escapes in their names, fields of forms. Only ours may be there; a body that cannot be read is refused.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('Q3', (t) => resist(t, 'Q3'))

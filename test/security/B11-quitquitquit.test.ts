/**
 * Admin listeners that act on GET or POST (cloud-sql-proxy's /quitquitquit): a page that cannot read the response can still end the
 * proxy. Ours changes nothing, answers GET and HEAD alone, and stands behind the same guards for Host and browsers.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('B11', (t) => resist(t, 'B11'))

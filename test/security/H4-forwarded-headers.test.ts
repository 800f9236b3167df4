/**
 * Forwarded, X-Forwarded-*, X-Original-URL, X-Rewrite-URL say what a proxy in front of us would say: whose request it is, over
 * which protocol, for which path (IIS, Symfony). Upstreams believe them, and a client can write them. None is passed on.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('H4', (t) => resist(t, 'H4'))

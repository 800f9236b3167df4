/**
 * The caller token, missing, wrong, empty, doubled, in another header, in another scheme (hashicorp/vault#7627: a check that takes
 * one of several headers can be fed another). Exactly one, in one of two places, compared as a whole and in constant time
 * (`Secret.equals`).
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('B12', (t) => resist(t, 'B12'))

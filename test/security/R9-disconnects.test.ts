/**
 * Pipelines, and clients that leave in the middle of one: a response without a socket ends a process, or keeps its place
 * among limits.requests for ever.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('R9', (t) => resist(t, 'R9'))

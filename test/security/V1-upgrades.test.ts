/**
 * Upgrades on routes that have them off, or whose allow list does not hold them, and with targets that are refused to ordinary requests
 * (CVE-2026-15631: a traversal in the WebSocket path of @fastify/http-proxy). After the handshake no guard sees anything any more.
 */
import t from 'tap'
import { resist } from './resist.ts'

t.test('V1', (t) => resist(t, 'V1'))

import t from 'tap'
import { Secret } from '#src/secret.ts'
import { createAcceptance } from '#src/token/acceptance.ts'
import type { Token } from '#src/token/token.ts'

function tokenAt (obtainedAt: number): Token {
  return { value: new Secret(`token-${obtainedAt}`), obtainedAt, lifetimeMs: 3_600_000 }
}

t.test('a token that was accepted is replaced at once, however often that happens', async (t) => {
  const { accept, refuse } = createAcceptance()
  for (let at = 0; at < 20; at++) {
    const token = tokenAt(at)
    accept('orders', token)
    t.equal(refuse('orders', token), 0)
    t.equal(refuse('orders', token), 0, 'by all that met it')
  }
})

t.test('tokens that were never accepted must be older with each in a row, and an accepted one ends the row', async (t) => {
  const { accept, refuse } = createAcceptance()
  const rejections = (from: number): number[] => [0, 1, 2, 3, 4, 5, 6].map((step) => {
    const token = tokenAt(from + step)
    refuse('orders', token)
    return refuse('orders', token)
  })
  t.same(rejections(0), [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  accept('orders', tokenAt(100))
  t.same(rejections(200).slice(0, 2), [2_000, 4_000])
})

t.test('late responses to an earlier token change nothing for the newer ones', async (t) => {
  const { accept, refuse } = createAcceptance()
  const [first, second, third] = [tokenAt(1), tokenAt(2), tokenAt(3)]
  accept('orders', second)
  accept('orders', first)
  t.equal(refuse('orders', second), 0, 'an earlier one that was accepted late')
  t.equal(refuse('orders', third), 2_000)
  refuse('orders', first)
  t.equal(refuse('orders', third), 2_000, 'an earlier one that was refused late')
})

t.test('credentials, and upstreams, know nothing of each other', async (t) => {
  const [one, other] = [createAcceptance(), createAcceptance()]
  const token = tokenAt(1)
  one.accept('orders', token)
  t.equal(one.refuse('orders', token), 0)
  t.equal(one.refuse('billing', token), 2_000)
  t.equal(other.refuse('orders', token), 2_000)
})

import t from 'tap'
import { retryAfterMs, skewOf } from '#src/token/provider/clock.ts'

const NOW = Date.UTC(2026, 0, 1, 12)

t.test('the skew is the provider\'s clock minus ours, half-way between question and answer', async (t) => {
  t.equal(skewOf(new Date(NOW).toUTCString(), NOW - 200, NOW + 200), 500, 'Date has whole seconds')
  t.equal(skewOf(new Date(NOW + 3_600_000).toUTCString(), NOW, NOW), 3_600_500)
  t.equal(skewOf(new Date(NOW - 3_600_000).toUTCString(), NOW, NOW), -3_599_500)
})

t.test('a Date that is none tells nothing', async (t) => {
  for (const date of [undefined, '', 'yesterday', ['Thu, 01 Jan 2026 12:00:00 GMT', 'Thu, 01 Jan 2026 12:00:00 GMT']]) {
    t.equal(skewOf(date, NOW, NOW), undefined)
  }
})

t.test('Retry-After is seconds, or an instant of the provider\'s clock, from now to a day', async (t) => {
  t.equal(retryAfterMs('7', NOW), 7000)
  t.equal(retryAfterMs(new Date(NOW + 30_000).toUTCString(), NOW), 30_000)
  t.equal(retryAfterMs(new Date(NOW - 30_000).toUTCString(), NOW), 0)
  t.equal(retryAfterMs('-1', NOW), 0, 'a wait of nothing, which the back-off ignores')
  t.equal(retryAfterMs('9'.repeat(400), NOW), 86_400_000)
  for (const value of [undefined, '', 'soon', ['1', '2']]) t.equal(retryAfterMs(value, NOW), undefined, String(value))
})

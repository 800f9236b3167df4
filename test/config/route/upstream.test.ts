import t from 'tap'
import { readUpstream } from '#src/config/route/upstream.ts'

t.test('a unix socket is an upstream, with a base path behind another colon', async (t) => {
  t.same(readUpstream('unix:/run/a.sock', false), { ok: true, value: { upstream: 'http://localhost', socketPath: '/run/a.sock' } })
  t.same(readUpstream('unix:/run/a.sock:/v1/', false), { ok: true, value: { upstream: 'http://localhost/v1', socketPath: '/run/a.sock' } })
  t.same(readUpstream('unix:/run/a b.sock:', false), { ok: true, value: { upstream: 'http://localhost', socketPath: '/run/a b.sock' } })
  t.same(readUpstream('https://api.example.com/v1', false), { ok: true, value: { upstream: 'https://api.example.com/v1' } })
})

t.test('what is no path of a socket, or no base path, is refused without being shown', async (t) => {
  for (const text of [
    'unix:',
    'unix:run/a.sock',
    'unix://run/a.sock:x',
    'unix:/run/',
    'unix:/a\0b',
    'unix:/a\nb',
    `unix:/${'x'.repeat(103)}`,
    'unix:/a:/../b',
    'unix:/a:/b?c',
    'unix:/a:/b#c',
    'unix:/a:b',
    'unix:/a:/b c'
  ]) {
    const result = readUpstream(text, true)
    t.match(result, { ok: false, problem: / / }, text)
    if (text !== 'unix:') t.notMatch(result.ok ? '' : result.problem, text)
  }
})

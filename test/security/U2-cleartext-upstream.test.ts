/**
 * A credential in the clear (U2; dmno-dev/varlock refuses the same): an upstream or identity provider whose URL says
 * `http:` although it is not on this machine. Refused before anything listens, unless the configuration says that it is
 * wanted; names and addresses that only look like loopback are none.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../helpers/daemon.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const SECRET = 'CANARY-KEY-1'

t.test('http: to another machine is exit 78, and the message names each place and the way out', async (t) => {
  const hosts = [
    'api.example.com',
    '10.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    'localhost.evil.example',
    '127.0.0.1.nip.io',
    '[::ffff:10.0.0.1]',
    'localhost@evil.example'
  ]
  const { status, stderr } = await check(t, hosts.map((host) => ({ upstream: `http://${host}` })))
  t.equal(status, 78)
  for (const [index, host] of hosts.entries()) t.match(stderr, new RegExp(`routes(?:\\[${index}\\]|\\.${index})\\.upstream`), host)
  t.match(stderr, 'allowInsecureUpstream')
  t.notMatch(stderr, SECRET)
})

t.test('loopback is let through, and so is what is said to be wanted', async (t) => {
  t.match(
    await check(t, [
      { upstream: 'http://127.0.0.1:9' },
      { upstream: 'http://[::1]:9' },
      { upstream: 'http://localhost:9' },
      { upstream: 'http://api.example.com', allowInsecureUpstream: true }
    ]),
    { status: 0 }
  )
})

async function check (
  t: Test,
  routes: ReadonlyArray<Readonly<Record<string, unknown>>>
): Promise<{ readonly status: number | NodeJS.Signals, readonly stderr: string }> {
  const folder = temporaryFolder(t)
  writeFileSync(
    join(folder, 'c.jsonc'),
    JSON.stringify({
      credentials: { key: { type: 'static', value: SECRET } },
      routes: routes.map((route, index) => ({ prefix: `/${index}`, credential: 'key', ...route }))
    })
  )
  return await runCommand(['check', '-c', join(folder, 'c.jsonc')], { cwd: folder })
}

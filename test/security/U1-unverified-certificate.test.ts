/**
 * Somebody on the network path answers in place of the upstream, or of the identity provider (U1; CVE-2026-107318:
 * reply-from leaves TLS verification off by default). One request is enough to have the credential.
 *
 * A certificate that is self-signed, expired, for another name or of an authority that this route does not trust: 502
 * CS_UPSTREAM_TLS, or no token at all, and not one byte of HTTP on the wire, for requests and upgrades alike.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createAuthority, createSelfSigned, type Certificate } from '../helpers/certificates.ts'
import { startDaemon } from '../helpers/daemon.ts'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const HOUR = 3_600_000
const past = { notBefore: new Date(Date.now() - 48 * HOUR), notAfter: new Date(Date.now() - HOUR) }

t.test('nothing is sent to whoever cannot prove who it is', async (t) => {
  const folder = temporaryFolder(t)
  const [trusted, other] = [createAuthority('Trusted'), createAuthority('Other')]
  const ca = join(folder, 'ca.pem')
  writeFileSync(ca, trusted.cert)
  const certificates: Readonly<Record<string, Certificate>> = {
    self: createSelfSigned({ names: ['127.0.0.1'] }),
    expired: trusted.issue({ names: ['127.0.0.1'], ...past }),
    early: trusted.issue({ names: ['127.0.0.1'], notBefore: new Date(Date.now() + HOUR) }),
    name: trusted.issue({ names: ['api.example.com', '127.0.0.2'] }),
    authority: other.issue({ names: ['127.0.0.1'] })
  }
  const impostors = await Promise.all(
    Object.entries(certificates).map(async ([name, tls]) => ({ name, upstream: await startUpstream(t, { tls, http: false }) }))
  )
  const genuine = await startUpstream(t, { tls: trusted.issue({ names: ['127.0.0.1'] }) })
  const plain = await startUpstream(t)
  const file = join(folder, 'countersign.jsonc')
  writeFileSync(
    file,
    JSON.stringify({
      listen: '127.0.0.1:0',
      admin: 'off',
      credentials: {
        key: { type: 'static', value: 'CANARY-KEY-1' },
        ...Object.fromEntries(
          impostors.flatMap(({ name, upstream }) => [
            [`oauth-${name}`, { type: 'oauth2', tokenUrl: `${upstream.origin}/token`, clientId: 'me', clientSecret: 'CANARY-SECRET-2' }],
            [
              `cognito-${name}`,
              {
                type: 'cognito',
                userPoolId: 'eu-west-1_AbCdEf123',
                clientId: 'me',
                username: 'me',
                password: 'CANARY-PW-3',
                authFlow: 'password',
                endpoint: upstream.origin
              }
            ]
          ])
        )
      },
      routes: [
        { prefix: '/good', upstream: genuine.origin, credential: 'key', tls: { ca } },
        ...impostors.flatMap(({ name, upstream }) => [
          { prefix: `/${name}`, upstream: upstream.origin, credential: 'key', tls: { ca } },
          ...['oauth', 'cognito'].map((kind) => ({ prefix: `/${kind}-${name}`, upstream: plain.origin, credential: `${kind}-${name}` }))
        ])
      ]
    })
  )
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder, env: { NODE_EXTRA_CA_CERTS: ca, NODE_TLS_REJECT_UNAUTHORIZED: '0' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address } = await daemon.line('listening')
  const port = Number(String(address).split(':').at(-1))
  const ask = async (path: string, ...lines: string[]): Promise<{ readonly statusCode: number, readonly code?: string }> => {
    const { statusCode, text } = await rawRequest(port, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${port}`, ...lines]))
    return { statusCode, ...(statusCode >= 400 && { code: (JSON.parse(text) as { code: string }).code }) }
  }

  t.match(await ask('/good/x'), { statusCode: 200 }, 'the authority of the route is trusted')
  for (const { name, upstream } of impostors) {
    t.same(await ask(`/${name}/x`), { statusCode: 502, code: 'CS_UPSTREAM_TLS' }, name)
    t.same(
      await ask(`/${name}/x`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13'),
      { statusCode: 502, code: 'CS_UPSTREAM_TLS' },
      `${name}, an upgrade`
    )
    for (const kind of ['oauth', 'cognito']) {
      t.same(await ask(`/${kind}-${name}/x`), { statusCode: 503, code: 'CS_TOKEN_UNAVAILABLE' }, `${name}, ${kind}`)
    }
    t.ok(upstream.accepted >= 4, `${name} was tried by each`)
    t.equal(upstream.received, '', `${name}: zero bytes of HTTP`)
  }
  t.equal(plain.accepted, 0, 'nothing goes out bare')
  t.notMatch(daemon.stdout() + daemon.stderr(), 'CANARY')
})

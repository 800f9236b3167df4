import type { TlsOptions, TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { PeerTls } from '#src/http/peer-tls.ts'
import { Secret } from '#src/secret.ts'
import { createAuthority, createSelfSigned, type Certificate } from '../helpers/certificates.ts'
import { startForwardProxy } from '../helpers/forward-proxy.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'

const authority = createAuthority()
const other = createAuthority('Other Authority')
const server = authority.issue({ names: ['127.0.0.1'] })
const client = authority.issue({ names: ['client'] })
const clientOf = ({ cert, key }: Certificate): PeerTls['client'] & object => ({ cert, key: new Secret(key) })

t.test('an upstream of a private authority is trusted with tls.ca, and with that one alone', async (t) => {
  const { upstream, proxy } = await pair(t, server, { ca: authority.cert })
  t.match(await send(proxy), { statusCode: 200, text: 'ok' })
  t.match(upstream.received, 'Bearer CANARY')
  for (const tls of [undefined, {}, { ca: other.cert }]) {
    const refusing = await pair(t, server, tls)
    refused(t, await send(refusing.proxy))
    t.ok(refusing.upstream.accepted > 0, 'it was tried')
    t.equal(refusing.upstream.received, '', 'no byte of HTTP')
  }
})

t.test('tls.ca takes several authorities from one file', async (t) => {
  const { proxy } = await pair(t, server, { ca: other.cert + authority.cert })
  t.match(await send(proxy), { statusCode: 200 })
})

t.test('a self-signed certificate is trusted as its own authority, and no other of that name', async (t) => {
  const own = createSelfSigned({ names: ['127.0.0.1'] })
  t.match(await send((await pair(t, own, { ca: own.cert })).proxy), { statusCode: 200 })
  const impostor = await pair(t, createSelfSigned({ names: ['127.0.0.1'] }), { ca: own.cert })
  refused(t, await send(impostor.proxy))
  t.equal(impostor.upstream.received, '')
})

t.test('an authority of one\'s own does not excuse a wrong name or a certificate out of its time', async (t) => {
  const day = 86_400_000
  const certificates = [
    authority.issue({ names: ['127.0.0.2', 'other.example'] }),
    authority.issue({ names: ['127.0.0.1'], notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) }),
    authority.issue({ names: ['127.0.0.1'], notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) })
  ]
  for (const certificate of certificates) {
    const { upstream, proxy } = await pair(t, certificate, { ca: authority.cert })
    refused(t, await send(proxy))
    t.equal(upstream.received, '')
  }
})

t.test('serverName is what is asked for and what the certificate must have, instead of the host', async (t) => {
  const named = authority.issue({ names: ['api.internal.example'] })
  const asked: unknown[] = []
  const SNICallback: TlsOptions['SNICallback'] = (name, done) => {
    asked.push(name)
    done(null)
  }
  const { upstream, proxy } = await pair(t, named, { ca: authority.cert, serverName: 'api.internal.example' }, { SNICallback })
  t.match(await send(proxy), { statusCode: 200 })
  t.same(asked, ['api.internal.example'])
  t.equal(upstream.last.header('host'), `127.0.0.1:${upstream.port}`, 'Host stays the upstream\'s')

  const wrong = await pair(t, server, { ca: authority.cert, serverName: 'api.internal.example' })
  refused(t, await send(wrong.proxy))
  t.equal(wrong.upstream.received, '', 'the host\'s own name does not do')
})

t.test('an upstream that wants a client certificate gets ours', async (t) => {
  const { upstream, proxy } = await pair(
    t,
    server,
    { ca: authority.cert, client: clientOf(client) },
    { requestCert: true, rejectUnauthorized: true, ca: authority.cert }
  )
  t.match(await send(proxy), { statusCode: 200 })
  const socket = upstream.last.connection.socket as TLSSocket
  t.equal(socket.getPeerCertificate().subject.CN, 'client')
  t.notMatch(proxy.logged(), /PRIVATE KEY/)
})

t.test('without a client certificate, or with one that the upstream does not know, nothing is sent', async (t) => {
  for (const tls of [{ ca: authority.cert }, { ca: authority.cert, client: clientOf(other.issue({ names: ['client'] })) }]) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { upstream, proxy } = await pair(t, server, tls, {
        requestCert: true,
        rejectUnauthorized: true,
        ca: authority.cert,
        maxVersion
      })
      const response = await send(proxy)
      t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
      t.notMatch(response.text, /127\.0\.0\.1|ALERT/i)
      t.equal(upstream.received, '')
    }
  }
})

t.test('TLS below 1.2 is refused with an authority of one\'s own as well', async (t) => {
  const { upstream, proxy } = await pair(t, server, { ca: authority.cert }, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })
  t.match(await send(proxy), { statusCode: 502 })
  t.equal(upstream.received, '')
})

t.test('all of this holds behind a forward proxy', async (t) => {
  const named = authority.issue({ names: ['api.internal.example'] })
  const upstream = await startUpstream(t, { tls: { ...named, requestCert: true, rejectUnauthorized: true, ca: authority.cert } })
  const forward = await startForwardProxy(t, { to: upstream.port })
  const routes = (tls: PeerTls): Array<{ upstream: string, bindings: (typeof BEARER)[], tls: PeerTls }> => [
    { upstream: 'https://api.example.com', bindings: [BEARER], tls }
  ]
  const start = (tls: PeerTls): Promise<TestProxy> => startProxy(t, { routes: routes(tls), proxies: { httpsProxy: forward.url } })
  const good = { ca: authority.cert, client: clientOf(client), serverName: 'api.internal.example' }
  t.match(await send(await start(good)), { statusCode: 200 })
  t.equal(upstream.last.header('host'), 'api.example.com')
  t.equal(upstream.exchanges.length, 1)
  refused(t, await send(await start({ ...good, ca: other.cert })))
  refused(t, await send(await start({ ca: good.ca, client: good.client })))
  t.match(await send(await start({ ca: good.ca, serverName: good.serverName })), { statusCode: 502 })
  t.equal(upstream.exchanges.length, 1, 'nothing more was sent')
  t.same(forward.targets, Array.from({ length: 4 }, () => 'api.example.com:443'))
})

async function pair (
  t: Test,
  certificate: Certificate,
  tls: PeerTls | undefined,
  more: TlsOptions = {}
): Promise<{ upstream: RecordingUpstream, proxy: TestProxy }> {
  const upstream = await startUpstream(t, { tls: { ...certificate, ...more } })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER], ...(tls !== undefined && { tls }) }] })
  return { upstream, proxy }
}

function send (proxy: TestProxy): Promise<RawResponse> {
  return rawRequest(proxy.port, message('GET /x HTTP/1.1', [`Host: localhost:${proxy.port}`]))
}

function refused (t: Test, response: RawResponse): void {
  t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_TLS' })
  t.notMatch(response.text, /127\.0\.0\.1|example/)
}

/** Random OISes: the request that an Airnode builds (@api3/airnode-adapter) and the one that leaves here say the same. */
import { isDeepStrictEqual } from 'node:util'
import { buildRequest, type BuildRequestOptions } from '@api3/airnode-adapter'
import fc from 'fast-check'
import t from 'tap'
import { generateRequestId } from '#src/auth/relay.ts'
import { spliceBody, takesBodyFields } from '#src/route/body.ts'
import { outgoingHeaders, outgoingQuery } from '#src/route/outgoing.ts'
import { readRelayed } from '#src/route/relayed.ts'
import { compileRoute, injectionsOf } from '#src/route/route.ts'
import { Secret } from '#src/secret.ts'
import { loadOis, metadataHeaders, RELAYED } from '../helpers/ois.ts'

const METADATA = {
  requesterAddress: '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512',
  sponsorAddress: '0x7a9a6F6B21AEE3b905AEeC757bbBcA39747Ca4Fa',
  sponsorWalletAddress: '0xB604c9f7de852F26DB90C04000820850112905b4',
  requestId: generateRequestId(),
  chainId: '31337',
  chainType: 'evm'
}

const NAMES = ['key', 'access_key', 'X-Api-Key', 'token', 'a b', 'é', 'Authorization', 'User-agent'] as const
const word = fc.constantFrom('x', 'A1', 'c3VwZXI6c2VjcmV0', '%20', 'a&b=c', 'ü', '{"j":1}', "it's", 'p+q')
const place = fc.constantFrom('header', 'query', 'cookie')

const scheme = fc.oneof(
  fc.record({ type: fc.constant('apiKey' as const), in: place, name: fc.constantFrom(...NAMES) }),
  fc.record({ type: fc.constantFrom(...RELAYED.map(([kind]) => kind)), in: place, name: fc.constantFrom(...NAMES) }),
  fc.record({ type: fc.constant('http' as const), scheme: fc.constantFrom('bearer', 'basic') })
)

const scenario = fc.record({
  schemes: fc.array(fc.record({ scheme, value: word, on: fc.boolean() }), { maxLength: 4 }),
  method: fc.constantFrom('get', 'post'),
  // What a requester passes to the Airnode, and here the client to the proxy.
  fields: fc.dictionary(fc.constantFrom('key', 'from', 'to', 'access_key', 'a b'), word, { maxKeys: 3 })
})

t.test('what an Airnode would send and what leaves here are the same', async (t) => {
  const folder = t.testdir({})
  let compared = 0
  fc.assert(fc.property(scenario, ({ schemes, method, fields }) => {
    const apiSpecifications = {
      servers: [{ url: 'https://api.example.com' }],
      components: { securitySchemes: Object.fromEntries(schemes.map(({ scheme }, index) => [`s${index}`, scheme])) },
      security: Object.fromEntries(schemes.flatMap(({ on }, index) => on ? [[`s${index}`, []]] : [])),
      paths: { '/convert': { [method]: { parameters: Object.keys(fields).map((name) => ({ in: 'query', name })) } } }
    }
    const credentials = schemes.flatMap(({ scheme, value }, index) =>
      scheme.type === 'http' || scheme.type === 'apiKey' ? [{ securitySchemeName: `s${index}`, securitySchemeValue: value }] : []
    )
    const { routes: [config], problems } = loadOis(folder, apiSpecifications, credentials)
    // What we refuse at load (names and values that HTTP does not carry, two schemes on one field) never gets this far.
    if (config === undefined) return problems.some(({ severity }) => severity === 'error')
    compared++
    const theirs = airnodeRequest(apiSpecifications, credentials, method, fields)
    const route = compileRoute(config, 0)
    const client = [
      ...metadataHeaders(METADATA),
      ...(method === 'post' && Object.keys(fields).length > 0 ? ['Content-Type', 'application/json'] : [])
    ]
    const relayed = readRelayed(route, client)
    const injections = injectionsOf(route, () => new Secret(''), (kind) => relayed.get(kind) ?? new Secret(''))
    const METHOD = method.toUpperCase()
    const body = method === 'post' && Object.keys(fields).length > 0 ? JSON.stringify(fields) : ''
    const ours = {
      headers: pairsOf(outgoingHeaders(route, client, injections)),
      query: fieldsOfQuery(
        outgoingQuery(
          route,
          METHOD,
          method === 'get' && Object.keys(fields).length > 0 ? `?${new URLSearchParams(fields).toString()}` : '',
          injections
        )
      ),
      body: takesBodyFields(route, METHOD)
        ? (JSON.parse(spliceBody(Buffer.from(body), client, injections).body.toString('utf8')) as unknown)
        : body === ''
          ? {}
          : (JSON.parse(body) as unknown)
    }
    for (const [name, value] of Object.entries(theirs.headers)) {
      if (ours.headers.get(name.toLowerCase()) !== value.replace(/;$/, '')) return false
    }
    const injected = [...ours.headers].filter(
      ([name]) =>
        name !== 'content-type' &&
        !RELAYED.some(([kind, , header]) => header.toLowerCase() === name && !route.bindings.some(({ scheme }) => scheme.type === kind))
    )
    if (injected.length !== Object.keys(theirs.headers).length) return false
    const expected = method === 'get' ? { query: theirs.data, body: {} } : { query: {}, body: theirs.data }
    return isDeepStrictEqual(
      { query: { ...ours.query }, body: { ...(ours.body as object) } },
      { query: { ...expected.query }, body: { ...expected.body } }
    )
  }), { numRuns: 300 })
  t.ok(compared > 60, `${compared} requests were compared`)
})

function airnodeRequest (
  apiSpecifications: object,
  apiCredentials: BuildRequestOptions['apiCredentials'],
  method: string,
  fields: Readonly<Record<string, string>>
): { headers: Record<string, string>, data: Record<string, string> } {
  const ois = {
    oisFormat: '2.3.2',
    title: 'Test API',
    version: '1.0.0',
    apiSpecifications,
    endpoints: [
      {
        name: 'e',
        operation: { method, path: '/convert' },
        fixedOperationParameters: [],
        reservedParameters: [],
        parameters: Object.keys(fields).map((name) => ({ name, operationParameter: { in: 'query', name } }))
      }
    ]
  } as unknown as BuildRequestOptions['ois'] // as the tests of Airnode do: the parts that are read
  const { headers, data } = buildRequest({ ois, endpointName: 'e', parameters: fields, apiCredentials, metadata: METADATA })
  return { headers, data }
}

/** Header names in lower case; a name that stands twice would hide a defect. */
function pairsOf (headers: readonly string[]): Map<string, string> {
  const map = new Map<string, string>()
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase()
    if (map.has(name)) throw new Error(`the header ${name} stands twice`)
    map.set(name, headers[index + 1] ?? '')
  }
  return map
}

function fieldsOfQuery (query: string): Record<string, string> {
  const list = [...new URLSearchParams(query)]
  const fields = Object.fromEntries(list)
  if (Object.keys(fields).length !== list.length) throw new Error('a parameter stands twice')
  return fields
}

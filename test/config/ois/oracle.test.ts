// `@api3/ois` is the reading of OIS that an Airnode uses. What it refuses is refused here, and what it accepts is accepted, but for the
// differences that this file spells out.
import { apiSpecificationSchema } from '@api3/ois'
import fc from 'fast-check'
import t from 'tap'
import { linesOf, loadFile } from '../load-fixture.ts'
import { valueFor } from './fixture.ts'

interface Scheme { readonly type?: string, readonly in?: string, readonly name?: string, readonly scheme?: string }
interface Specifications {
  readonly servers?: unknown
  readonly components?: { readonly securitySchemes?: Readonly<Record<string, Scheme>> }
  readonly security?: unknown
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const GOOD_URLS = ['https://x.example', 'https://x.example/v1/', 'http://localhost:1']
const BAD_URLS = ['ftp://x.example', 'javascript:alert(1)', 'https://u:p@x.example', 'https://x.example?z=1', 'http://x.example']
const GOOD_NAMES = ['X-Key', 'key', 'Authorization', 'x_key']
const BAD_NAMES = ['', 'X\r\nY: 1', 'Host']
const GOOD_PATHS = ['/', '/a', '/a/{id}', '/a?b=c']
const BAD_PATHS = ['//evil.example', '/../x']
const NAMES = ['a', 'b', 'toString', 'constructor']

const mostly = (good: fc.Arbitrary<unknown>, ...bad: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(...bad) })
const within = (good: readonly string[], bad: readonly string[]): fc.Arbitrary<unknown> => mostly(fc.constantFrom(...good), ...bad, 1, null)
const extra = fc.oneof({ weight: 20, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.constant({ description: 'd' }) })
const withExtra = (object: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.tuple(object, extra).map(([one, more]) => ({ ...(one as object), ...more }))
const placed = fc.record(
  {
    type: mostly(
      fc.constantFrom(
        'apiKey',
        'relayChainId',
        'relayChainType',
        'relayRequesterAddress',
        'relaySponsorAddress',
        'relaySponsorWalletAddress',
        'relayRequestId'
      ),
      'oauth2',
      'openIdConnect',
      'ApiKey',
      null
    ),
    in: mostly(fc.constantFrom('header', 'query', 'cookie'), 'path', 'Header', null),
    name: within(GOOD_NAMES, BAD_NAMES)
  },
  { requiredKeys: ['type', 'in', 'name'] }
)
const http = fc.record({ type: fc.constant('http'), scheme: mostly(fc.constantFrom('bearer', 'basic'), 'Bearer', 'digest', null) })
const schemes = fc.dictionary(
  fc.constantFrom(...NAMES),
  withExtra(
    fc.oneof(
      { weight: 3, arbitrary: placed },
      { weight: 1, arbitrary: http },
      { weight: 1, arbitrary: fc.constant({ type: 'apiKey', in: 'query' }) }
    )
  ),
  { maxKeys: 3 }
)
const security = fc.dictionary(fc.constantFrom(...NAMES), mostly(fc.constant([]), ['read'], {}, null), { maxKeys: 2 })
const operation = mostly(fc.constant({ parameters: [] }), { parameters: [{ in: 'query', name: 'q' }] })
const methods = fc.oneof(
  { weight: 20, arbitrary: fc.record({ get: operation, post: operation }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: fc.constant({ put: { parameters: [] } }) }
)
const specifications = fc
  .tuple(
    fc.record(
      {
        servers: mostly(
          fc.tuple(withExtra(fc.record({ url: within(GOOD_URLS, BAD_URLS) }))),
          [],
          [{ url: 'https://a.example' }, { url: 'https://b.example' }],
          'x'
        ),
        components: mostly(withExtra(fc.record({ securitySchemes: schemes })), {}, null),
        security: mostly(security, [], [{ a: [] }], null),
        paths: mostly(
          fc.dictionary(mostly(fc.constantFrom(...GOOD_PATHS), ...BAD_PATHS, 'a') as fc.Arbitrary<string>, methods, { maxKeys: 2 }),
          null
        )
      },
      { requiredKeys: ['servers'] }
    ),
    extra
  )
  .map(([one, more]) => JSON.parse(JSON.stringify({ ...one, ...more })) as Specifications)

/**
 * What Airnode's reading says, once the differences in our favour are out of the way: a partial OIS, `[]` for `{}`, and operations, which
 * are not read.
 */
function oracleAccepts (specification: Specifications): boolean {
  const { components, security, paths } = specification
  const read = (path: string): object => ({ parameters: [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => ({ in: 'path', name })) })
  const plain = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  return apiSpecificationSchema.safeParse({
    ...specification,
    components:
      components === undefined
        ? { securitySchemes: {} }
        : plain(components) && !('securitySchemes' in components)
          ? { ...components, securitySchemes: {} }
          : components,
    security: security === undefined || (Array.isArray(security) && security.length === 0) ? {} : security,
    paths:
      paths === undefined
        ? {}
        : !plain(paths)
            ? paths
            : Object.fromEntries(
              Object.entries(paths).map(([path, all]) => [
                path,
                Object.fromEntries(Object.keys(all as object).map((method) => [method, read(path)]))
              ])
            )
  }).success
}

/** What Airnode lets pass and we do not, of what it accepts. */
function isTooLax ({ servers, components, security, paths }: Specifications): boolean {
  const list = servers as ReadonlyArray<{ readonly url: string }>
  if (list.length !== 1 || !list.every(({ url }) => GOOD_URLS.includes(url))) return true
  const defined = components?.securitySchemes ?? {}
  if (
    Object.values(defined).some(
      ({ type, in: place, name = '' }) => type !== 'http' && !GOOD_NAMES.includes(name) && !(name === 'Host' && place !== 'header')
    )
  ) { return true }
  const on = Array.isArray(security) ? [] : Object.keys(security ?? {})
  if (on.some((name) => !Object.hasOwn(defined, name))) return true
  const targets = on.map((name) => {
    const { type, in: place, name: field = '' } = defined[name] ?? {}
    return type === 'http' ? 'header authorization' : `${place} ${place === 'header' ? field.toLowerCase().replaceAll('_', '-') : field}`
  })
  return new Set(targets).size < targets.length || Object.keys(paths ?? {}).some((path) => BAD_PATHS.includes(path))
}

t.test('what @api3/ois refuses is refused, and what it accepts is accepted where it is not too lax', async (t) => {
  const address = { header: 'X-Address' }
  const relay = {
    relayChainId: '1',
    relayChainType: 'evm',
    relayRequesterAddress: address,
    relaySponsorAddress: address,
    relaySponsorWalletAddress: address,
    relayRequestId: { generate: true }
  }
  const seen = { accepted: 0, tooLax: 0, refused: 0 }
  fc.assert(fc.property(specifications, (specification) => {
    const apiCredentials = NAMES.map((name) => valueFor('A', name, 'dTpw'))
    const result = loadFile(t, {
      ois: [{ title: 'A', apiSpecifications: specification }],
      apiCredentials,
      routes: [{ prefix: '/', ois: 'A', relay }]
    })
    const accepted = oracleAccepts(specification)
    const wanted = accepted && !isTooLax(specification)
    seen[wanted ? 'accepted' : accepted ? 'tooLax' : 'refused']++
    if (result.ok !== wanted) throw new Error(`${wanted ? 'refused' : 'accepted'}: ${linesOf(result).join('\n')}`)
  }), { numRuns: 1500 })
  t.ok(seen.accepted > 200 && seen.tooLax > 50 && seen.refused > 200, JSON.stringify(seen))
})

t.test('on top of the specifications the title is as @api3/ois has it', async (t) => {
  const { oisSchema } = await import('@api3/ois')
  const title = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '_', '-', '\t', '\n', '\u00a0', '.', '/', 'é', '"'), maxLength: 5 }),
    fc.constantFrom('x'.repeat(64), 'x'.repeat(65))
  )
  fc.assert(fc.property(title, (text) => {
    const result = loadFile(t, { ois: [{ title: text, apiSpecifications: { servers: [{ url: 'https://x.example' }] } }] })
    // Blank is ours.
    return result.ok === (oisSchema.shape.title.safeParse(text).success && text.trim() !== '')
  }), { numRuns: 300 })
})

// The configuration's cases of test/vectors/ois.json; requests are compared elsewhere. The README beside the file says what its fields
// mean.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readDocument } from '#src/config/read/document.ts'
import type { LoadResult } from '#src/config/load.ts'
import { createSecretLookup, parseSecrets } from '#src/config/read/secrets.ts'
import { linesOf, load, loadFile } from '../load-fixture.ts'
import { bindingsOf, KEY, oisOf, routesOf, valueFor } from './fixture.ts'

interface Vector {
  readonly id: string
  readonly layer: string
  readonly name: string
  readonly ois?: { readonly title?: string, readonly apiSpecifications: Readonly<Record<string, unknown>> }
  readonly apiCredentials?: readonly object[] | null
  readonly metadata?: Readonly<Record<string, string>>
  readonly triggers?: readonly string[]
  readonly fragment?: unknown
  readonly config?: Readonly<Record<string, unknown>>
  readonly secrets?: Readonly<Record<string, string>>
  readonly line?: string
  readonly expected: Readonly<Record<string, unknown>>
  readonly countersign: { readonly verdict: 'same' | 'differs' | 'unspecified', readonly outcome?: string, readonly note?: string }
}

const vectors = JSON.parse(readFileSync(new URL('../../../test/vectors/ois.json', import.meta.url), 'utf8')) as Vector[]
const ofLayer = (layer: string): Vector[] => vectors.filter((vector) => vector.layer === layer)

/** Whether Countersign refuses the configuration: as an Airnode does, or as the case says where it differs. */
const isRefused = ({ expected, countersign: { verdict, outcome } }: Vector): boolean =>
  verdict === 'same' ? 'error' in expected : outcome === 'config-error'

const METADATA: Readonly<Record<string, string>> = {
  relayRequesterAddress: 'requesterAddress',
  relaySponsorAddress: 'sponsorAddress',
  relaySponsorWalletAddress: 'sponsorWalletAddress',
  relayChainId: 'chainId',
  relayChainType: 'chainType',
  relayRequestId: 'requestId'
}
const SOURCES = {
  relayRequesterAddress: { header: 'X-A' },
  relaySponsorAddress: { header: 'X-A' },
  relaySponsorWalletAddress: { header: 'X-A' },
  relayChainId: '1',
  relayChainType: 'evm',
  relayRequestId: { generate: true }
}

/** What the cases leave out, which an Airnode's configuration has. */
const whole = (ois: Vector['ois']): { title: string, apiSpecifications: object } => ({
  title: 'T',
  ...ois,
  apiSpecifications: { servers: [{ url: 'https://api.example.com' }], paths: {}, ...ois?.apiSpecifications }
})
const loadOis = (t: Test, vector: Vector, more: object = {}): LoadResult => {
  const ois = whole(vector.ois)
  return loadFile(t, {
    ois: [ois],
    apiCredentials: (vector.apiCredentials ?? []).map((entry) => ({ oisTitle: ois.title, ...entry })),
    ...more
  })
}
const said = (result: LoadResult): string => linesOf(result).join('\n')

t.test('the layers are there with all their cases', async (t) => {
  const counts = ['config-validation', 'example-config', 'ois-schema', 'interpolation', 'dotenv'].map((layer) => [
    layer,
    ofLayer(layer).length
  ])
  t.same(counts, [['config-validation', 3], ['example-config', 1], ['ois-schema', 15], ['interpolation', 19], ['dotenv', 7]])
  t.equal(vectors.length, 92)
})

for (const vector of ofLayer('config-validation')) {
  t.test(vector.id, async (t) => {
    const triggers = vector.triggers === undefined ? {} : { triggers: Object.fromEntries(vector.triggers.map((name) => [name, []])) }
    const result = loadOis(t, vector, triggers)
    t.equal(!result.ok, isRefused(vector), said(result))
    if (vector.triggers !== undefined) t.match(said(result), /triggers {2}belongs to an Airnode and is ignored/)
    if (vector.countersign.verdict === 'same' || result.ok) return
    const withSources = loadOis(t, vector, { routes: [{ prefix: '/', ois: 'T', relay: { relayChainId: '1' } }] })
    t.same(linesOf(withSources), [], 'with a source it is accepted')
  })
}

for (const vector of ofLayer('example-config')) {
  t.test(vector.id, async (t) => {
    t.match(said(loadOis(t, vector)), /the automatic route has no source for them/, 'without sources it is refused')
    const relay = Object.fromEntries(Object.entries(METADATA).map(([kind, name]) => [kind, vector.metadata?.[name]]))
    const ois = whole(vector.ois)
    const [route] = routesOf(t, { ois: [ois], apiCredentials: vector.apiCredentials, routes: [{ prefix: '/', ois: ois.title, relay }] })
    t.equal(route?.upstream, 'https://httpbin.org')
    t.same(bindingsOf(route), [
      'relayRequesterAddress header requesterAddress = relayRequesterAddress fixed 0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512',
      'relaySponsorAddress query sponsorAddress = relaySponsorAddress fixed 0x7a9a6F6B21AEE3b905AEeC757bbBcA39747Ca4Fa',
      'relaySponsorWalletAddress query sponsorWalletAddress = relaySponsorWalletAddress fixed 0xB604c9f7de852F26DB90C04000820850112905b4',
      'relayChainId query chainId = relayChainId fixed 31337',
      'relayChainType cookie chainType = relayChainType fixed evm',
      'relayRequestId query requestId = relayRequestId fixed 0xcf2816af81f9cc7c9879dc84ce29c00fe1e290bcb8d2e4b204be1eeb120811bf'
    ])
  })
}

/** An OIS around a fragment: a scheme, `security`, a server, the methods of a path, or a title. */
function aroundFragment (fragment: unknown): object {
  if (typeof fragment === 'string') return oisOf(fragment)
  const part = fragment as Readonly<Record<string, unknown>>
  if ('type' in part) return oisOf('T', { k: part })
  if ('security' in part) return oisOf('T', { k: KEY }, part)
  return 'url' in part ? oisOf('T', {}, { servers: [part] }) : oisOf('T', {}, { paths: { '/x': part } })
}

for (const vector of ofLayer('ois-schema')) {
  t.test(vector.id, async (t) => {
    const relay = { routes: [{ prefix: '/', ois: 'T', relay: SOURCES }] }
    const result = vector.ois !== undefined
      ? loadOis(t, vector, relay)
      : loadFile(t, { ois: [aroundFragment(vector.fragment)], apiCredentials: [valueFor('T', 'k')] })
    t.equal(!result.ok, isRefused(vector), said(result))
    if (!result.ok) t.ok(result.problems.every(({ line, path }) => line !== undefined && path !== undefined), 'with a place')
    if (vector.id.includes('docs-prose')) t.match(said(result), /security {2}is a list, which is read as \{\}/, 'with a warning')
    if (vector.id.includes('oas-style')) t.match(said(result), /write an object, \{ "k": \[\] \}/, 'the message shows the object form')
  })
}

for (const vector of ofLayer('interpolation')) {
  t.test(vector.id, async (t) => {
    // A reference to the malformed name stands for the secret of that name: what nothing refers to is no error.
    const config = vector.id.includes('bad-secret-name') ? { a: '${CANNOT-CONTAIN-HYPHEN}' } : vector.config ?? {}
    const lookup = createSecretLookup({}, '/', new Map(Object.entries(vector.secrets ?? {})))
    const { document, problems } = readDocument(JSON.stringify(config), 'c.jsonc', lookup)
    if (vector.countersign.outcome === 'literal') {
      // Keys stay as they are written; the contract makes that an error besides.
      t.same(Object.keys(Object(document?.value) as object), Object.keys(config))
      t.match(problems, [{ message: 'a key holds ${; only values are interpolated, so write the key out' }])
      return
    }
    t.equal(problems.length > 0, isRefused(vector))
    t.notMatch(JSON.stringify(problems), /"x"|"w"/, 'no value is shown')
    if (!isRefused(vector)) t.strictSame({ ...Object(document?.value) as object }, vector.expected)
    const names = Object.keys(config)
    const schemes = Object.fromEntries(names.map((name) => [name, { type: 'apiKey', in: 'query', name }]))
    const result = loadFile(
      t,
      { ois: [oisOf('T', schemes)], apiCredentials: names.map((name) => valueFor('T', name, config[name])) },
      { ...vector.secrets }
    )
    t.equal(!result.ok, isRefused(vector), said(result))
    if (!result.ok) return
    t.same(bindingsOf(result.config.routes[0]), names.map((name) => `apiKey query ${name} = T/${name}: ${String(vector.expected[name])}`))
  })
}

for (const vector of ofLayer('dotenv')) {
  t.test(vector.id, async (t) => {
    const line = vector.line ?? ''
    const { values, warnings } = parseSecrets(line, 's.env')
    t.same(Object.fromEntries(values), vector.expected)
    const names = [...values.keys()]
    const reference = `\${${names[0] ?? 'KEY'}}`
    const result = load(t, {
      files: {
        'c.jsonc': JSON.stringify({ ois: [oisOf('T', { k: { ...KEY, in: 'query' } })], apiCredentials: [valueFor('T', 'k', reference)] }),
        's.env': line
      }
    })
    const value = Object.values(vector.expected)[0]
    const refused = isRefused(vector) || value === ''
    t.equal(!result.ok, refused, said(result))
    if (result.ok) t.same(bindingsOf(result.config.routes[0]), [`apiKey query X-Key = T/k: ${String(value)}`])
    if (value === '') t.match(said(result), /is empty in the secrets file/)
    if (vector.id.includes('duplicate')) t.match(warnings, [{ message: /is set a second time/ }])
    if (vector.id.includes('json-file')) t.match(warnings, [{ message: /no line is NAME=value/ }], 'a message of its own')
  })
}

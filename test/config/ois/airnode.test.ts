import t from 'tap'
import { AIRNODE_SECTIONS, isRead } from '#src/config/sections.ts'
import { loadFile } from '../load-fixture.ts'
import { bindingsOf, exactly, KEY, oisOf, problemsOf, routesOf, valueFor } from './fixture.ts'

const A = { ois: [oisOf('A', { key: KEY })], apiCredentials: [valueFor('A', 'key', '${A_KEY}')] }

t.test('sections of an Airnode beside ois are ignored, with one warning that names them', async (t) => {
  const file = {
    chains: [{ providers: { p: { url: '${PROVIDER_URL}' } } }],
    nodeSettings: { airnodeWalletMnemonic: '${MNEMONIC}' },
    triggers: {},
    templates: [],
    ...A
  }
  t.same(problemsOf(t, file, { A_KEY: 'x' }), [
    'chains  "chains", "nodeSettings", "triggers", "templates" belong to an Airnode and are ignored; only ois, apiCredentials and Countersign\'s own keys are read'
  ])
  t.same(bindingsOf(routesOf(t, file, { A_KEY: 'x' })[0]), ['apiKey header X-Key = A/key: x'])
  t.same(problemsOf(t, { ...A, endpoints: {} }, { A_KEY: 'x' }), [
    "endpoints  belongs to an Airnode and is ignored; only ois, apiCredentials and Countersign's own keys are read"
  ])
})

t.test('whatever stands in them is neither judged nor interpolated', async (t) => {
  const odd = { a: '${1+1}', '${B}': '${', c: ['${process.version}', null, 1, { d: '${GONE}' }] }
  for (const section of AIRNODE_SECTIONS) {
    for (const value of [odd, [odd], '${GONE}', null, 7]) {
      exactly(t, problemsOf(t, { ...A, [section]: value }, { A_KEY: 'x' }), [/belongs to an Airnode and is ignored/], section)
    }
  }
})

t.test('a configuration of airnode-feed loads as well', async (t) => {
  const file = {
    templates: {},
    endpoints: {},
    triggers: { signedApiUpdates: [] },
    signedApis: [{ authToken: '${FEED_TOKEN}' }],
    ...A,
    nodeSettings: {}
  }
  exactly(t, problemsOf(t, file, { A_KEY: 'x' }), [
    /"templates", "endpoints", "triggers", "signedApis", "nodeSettings" belong to an Airnode/
  ])
})

t.test('so do those of older feeds, of airkeeper and of Airseeker', async (t) => {
  const files = [
    { stage: 'dev', deploymentId: 'local1234', nodeSettings: {} },
    {
      airnodeAddress: '0x',
      airnodeXpub: 'xpub',
      subscriptions: { '0x': { relayer: '${GONE}' } },
      templatesV1: {},
      triggers: { protoPsp: [] }
    },
    { log: { level: 'INFO' }, beacons: {}, beaconSets: {}, gateways: {}, sponsorWalletMnemonic: '${GONE}' }
  ]
  for (const file of files) {
    exactly(t, problemsOf(t, { ...file, ...A }, { A_KEY: 'x' }), [/ belong to an Airnode and are ignored/], Object.keys(file).join())
  }
})

t.test('a missing secret of apiCredentials is an error, that of another section is not', async (t) => {
  exactly(t, problemsOf(t, { nodeSettings: { x: '${MNEMONIC}' }, ...A }), [
    /^nodeSettings {2}belongs/,
    /^apiCredentials\[0\]\.securitySchemeValue {2}secret A_KEY is not set/
  ])
})

t.test('without ois the file is no Airnode\'s, and any other unknown key is one', async (t) => {
  exactly(t, problemsOf(t, { routes: [{ prefix: '/', upstream: 'https://x' }], chains: [], triggers: '${GONE}' }), [
    /^chains {2}is a section of an Airnode configuration, and this file has no ois; remove it$/,
    /^triggers {2}is a section of/
  ])
  for (const key of ['chain', 'Chains', 'template', 'nodesettings', 'trigger', 'OIS', 'apiCredential']) {
    exactly(t, problemsOf(t, { ...A, [key]: [] }, { A_KEY: 'x' }), [
      new RegExp(`^${key} {2}unknown key; remove it, or write one of "\\$schema", .*"tokenCache"$`)
    ])
  }
})

t.test('plain JSON is enough, and own keys may stand beside it', async (t) => {
  const text = JSON.stringify({ chains: [], ...A, listen: '127.0.0.1:0', credentials: {}, routes: [{ prefix: '/p', ois: 'A' }] })
  t.match(routesOf(t, text, { A_KEY: 'x' }), [{ prefix: '/p' }])
  t.ok(loadFile(t, text, { A_KEY: 'x' }).ok)
})

t.test('what is read: own keys, and of an OIS title, oisFormat and apiSpecifications without its operations', async (t) => {
  for (const path of [
    [],
    ['ois'],
    ['ois', 0],
    ['ois', 0, 'title'],
    ['ois', 0, 'oisFormat'],
    ['ois', 0, 'apiSpecifications', 'paths', '/x', 'get'],
    ['ois', 0, 'apiSpecifications', 'security', 'paths', 'get', 'x'],
    ['routes', 0, 'chains'],
    ['credentials', 'chains']
  ]) { t.ok(isRead(path), path.join('.')) }
  for (const path of [
    ['chains'],
    ['id'],
    ['ois', 0, 'endpoints'],
    ['ois', 0, 'version'],
    ['ois', 0, 'apiSpecifications', 'paths', '/x', 'get', 'parameters'],
    ['ois', 0, 'apiSpecifications', 'paths', '/x', 'post', 'parameters']
  ]) { t.notOk(isRead(path), path.join('.')) }
})

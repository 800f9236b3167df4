import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig, type LoadResult } from '#src/config/load.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'

const BYTES = Buffer.from('00ff10e3a9'.repeat(7).slice(0, 64), 'hex')
const HEX = BYTES.toString('hex')
const ROUTES = [{ prefix: '/', upstream: 'https://api.example.com' }]

/** Loads a configuration in a folder of its own. */
function loadIn (folder: string, tokenCache: unknown, env: NodeJS.ProcessEnv = {}): LoadResult {
  const file = join(folder, 'c.jsonc')
  writeFileSync(file, JSON.stringify({ tokenCache, routes: ROUTES }))
  return loadConfig({ env, cwd: '/', options: { config: file } })
}

function keyOf (t: Test, key: string): string | undefined {
  return configOf(loadFile(t, { tokenCache: { directory: 'tokens', key }, routes: ROUTES })).tokenCache?.key.reveal()
}

t.test('without the key there is no cache', async (t) => {
  t.equal(configOf(loadFile(t, { routes: ROUTES })).tokenCache, undefined)
})

t.test('a key is 32 bytes in hex or in base64 of either alphabet, padded or not', async (t) => {
  for (const key of [
    HEX,
    HEX.toUpperCase(),
    BYTES.toString('base64'),
    BYTES.toString('base64').replace('=', ''),
    BYTES.toString('base64url'),
    ` ${HEX}\n`
  ]) {
    t.equal(keyOf(t, key), HEX)
  }
})

t.test('anything else is no key, and is not shown', async (t) => {
  for (const key of [
    '',
    'CANARY',
    HEX.slice(2),
    `${HEX}00`,
    BYTES.subarray(1).toString('base64'),
    Buffer.concat([BYTES, BYTES]).toString('base64'),
    'CANARY-passphrase-of-forty-three-characters!',
    `${HEX.slice(1)}g`
  ]) {
    const lines = linesOf(loadFile(t, { tokenCache: { directory: 'tokens', key }, routes: ROUTES }))
    t.equal(lines.length, 1)
    t.match(lines[0], /tokenCache\.key {2}is not 32 bytes in hex or base64; make one with: openssl rand -hex 32$/)
    t.notMatch(lines[0], /CANARY|00ff/)
  }
})

t.test('the key may come from the secrets, and is a secret', async (t) => {
  const config = configOf(loadFile(t, { tokenCache: { directory: 'tokens', key: '${CACHE_KEY}' }, routes: ROUTES }, { CACHE_KEY: HEX }))
  t.equal(config.tokenCache?.key.reveal(), HEX)
  t.notMatch(JSON.stringify(config.tokenCache), HEX)
})

t.test('a missing secret is reported as such, not as a bad key', async (t) => {
  const lines = linesOf(loadFile(t, { tokenCache: { directory: 'tokens', key: '${CACHE_KEY}' }, routes: ROUTES }))
  t.match(lines, [/CACHE_KEY/])
  t.equal(lines.length, 1)
})

t.test('a relative directory starts from the folder of the configuration file, and need not be there yet', async (t) => {
  const folder = temporaryFolder(t)
  t.equal(configOf(loadIn(folder, { directory: 'state/tokens', key: HEX })).tokenCache?.directory, join(folder, 'state/tokens'))
  t.equal(configOf(loadIn(folder, { directory: '/var/lib/tokens', key: HEX })).tokenCache?.directory, resolve('/var/lib/tokens'))
})

t.test('a directory that can be none is an error, one that others may enter a warning', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  symlinkSync('elsewhere', join(folder, 'link'))
  mkdirSync(join(folder, 'open'))
  chmodSync(join(folder, 'open'), 0o755)
  mkdirSync(join(folder, 'good'), { mode: 0o700 })
  const report = (directory: string): string => linesOf(loadIn(folder, { directory, key: HEX })).join('\n')
  t.match(report('file'), /tokenCache\.directory {2}is a file; name a directory$/)
  t.match(report('link'), /tokenCache\.directory {2}is a link.*; name the directory itself$/)
  t.match(report(' '), /tokenCache\.directory {2}is empty; name a directory$/)
  t.match(report('open'), /tokenCache\.directory {2}other users.*run chmod 700 on it$/)
  t.equal(report('good'), '')
  t.equal(loadIn(folder, { directory: 'open', key: HEX }).ok, true)
  t.equal(loadIn(folder, { directory: 'file', key: HEX }).ok, false)
})

t.test('what is missing or unknown is said by name', async (t) => {
  t.match(
    linesOf(loadFile(t, { tokenCache: {}, routes: ROUTES })).join('\n'),
    /tokenCache\.directory {2}is missing[^]*tokenCache\.key {2}is missing/
  )
  t.match(linesOf(loadFile(t, { tokenCache: { directory: 'tokens', key: HEX, dir: 'x' }, routes: ROUTES })), [
    /tokenCache\.dir {2}unknown key; remove it, or write one of "directory", "key"$/
  ])
  t.match(linesOf(loadFile(t, { tokenCache: '/tokens', routes: ROUTES })), [/tokenCache {2}must be an object/])
})

import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { openDiskCache } from '#src/token/cache/disk.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { createTestLog } from '../../helpers/token-source.ts'
import type { CachedToken } from '#src/token/cache/cache.ts'
import type { CredentialIdentity } from '#src/token/identity.ts'

const KEY = new Secret('ab'.repeat(32))
const ALICE = identity('alice', 'CANARY-PW-1')
const BOB = identity('bob', 'CANARY-PW-2')

function identity (username: string, password: string): CredentialIdentity {
  return { who: [['type', 'cognito'], ['username', username]], proof: [['password', new Secret(password)]] }
}

function token (value: string): CachedToken {
  return { value: new Secret(value), issuedAt: 1, lifetimeMs: 2, renewal: { refreshToken: new Secret(`CANARY-RT-${value}`) } }
}

function scene (t: Test, { directory = join(temporaryFolder(t), 'tokens'), key = KEY } = {}) {
  const log = createTestLog()
  const cache = openDiskCache({ directory, key, log })
  const reasons = (): unknown[] => log.lines.map(({ fields }) => 'reason' in fields ? fields.reason : fields)
  return { directory, log, reasons, cache, alice: cache.of('a', ALICE), bob: cache.of('b', BOB) }
}

/** The one file of a directory that has one. */
function onlyFile (directory: string): string {
  const names = readdirSync(directory)
  if (names.length !== 1) throw new Error(`${names.length} files`)
  return join(directory, names[0] ?? '')
}

t.test('what is written is read, by this process and by the next', async (t) => {
  const { directory, cache, alice, log } = scene(t)
  t.equal(await alice.read(), undefined)
  await alice.write(token('CANARY-1'))
  t.equal((await alice.read())?.value.reveal(), 'CANARY-1')
  await cache.close()
  const next = scene(t, { directory })
  t.equal((await next.alice.read())?.renewal?.refreshToken.reveal(), 'CANARY-RT-CANARY-1')
  t.same([...log.lines, ...next.log.lines], [])
})

t.test('the directory is for its owner alone, and so is every file; nothing in either can be read', async (t) => {
  const { directory, alice, bob } = scene(t)
  await Promise.all([alice.write(token('CANARY-1')), bob.write(token('CANARY-2'))])
  t.equal(lstatSync(directory).mode & 0o777, 0o700)
  const names = readdirSync(directory)
  t.equal(names.length, 2)
  for (const name of names) {
    t.equal(lstatSync(join(directory, name)).mode & 0o777, 0o600)
    t.notMatch(name + readFileSync(join(directory, name), 'latin1'), /CANARY|alice|bob|cognito|abab/)
  }
})

t.test('writes and removals take effect in their order, and close waits for them', async (t) => {
  const { cache, alice, directory } = scene(t)
  await Promise.all(Array.from({ length: 20 }, (_, count) => alice.write(token(`CANARY-${count}`))))
  t.equal((await alice.read())?.value.reveal(), 'CANARY-19')
  alice.write(token('CANARY-w')).catch(t.threw)
  await cache.close()
  t.equal((await alice.read())?.value.reveal(), 'CANARY-w')
  alice.write(token('CANARY-x')).catch(t.threw)
  alice.remove().catch(t.threw)
  await cache.close()
  t.equal(await alice.read(), undefined)
  t.same(readdirSync(directory), [])
  await alice.remove()
})

t.test('two credentials never cross, not even by exchanged files', async (t) => {
  const { directory, alice, bob, reasons } = scene(t)
  await alice.write(token('CANARY-A'))
  const ofAlice = onlyFile(directory)
  await bob.write(token('CANARY-B'))
  const ofBob = join(directory, readdirSync(directory).find((name) => join(directory, name) !== ofAlice) ?? '')
  const [a, b] = [readFileSync(ofAlice), readFileSync(ofBob)]
  writeFileSync(ofAlice, b)
  writeFileSync(ofBob, a)
  t.equal(await alice.read(), undefined)
  t.equal(await bob.read(), undefined)
  t.same(reasons(), Array.from({ length: 2 }, () => 'its file was altered, or sealed for another secret of this credential'))
})

t.test('a changed secret finds nothing, and its first token takes the old one\'s place', async (t) => {
  const { directory, cache, alice } = scene(t)
  await alice.write(token('CANARY-OLD'))
  const changed = cache.of('a', identity('alice', 'CANARY-PW-NEW'))
  t.equal(await changed.read(), undefined)
  await changed.write(token('CANARY-NEW'))
  t.equal(readdirSync(directory).length, 1)
  t.equal(await alice.read(), undefined)
  t.equal((await changed.read())?.value.reveal(), 'CANARY-NEW')
})

t.test('entries of another key are told once, not used and not touched', async (t) => {
  const { directory, alice, bob } = scene(t)
  await alice.write(token('CANARY-1'))
  await bob.write(token('CANARY-2'))
  const next = scene(t, { directory, key: new Secret('cd'.repeat(32)) })
  t.equal(await next.alice.read(), undefined)
  await next.alice.write(token('CANARY-3'))
  t.match(next.log.lines, [{ level: 'warn', fields: { directory, entries: 2 }, sentence: /entries of another key/ }])
  t.equal(next.log.lines.length, 1)
  t.equal(readdirSync(directory).length, 3)
  t.equal((await alice.read())?.value.reveal(), 'CANARY-1', 'with the key of before it is still there')
})

t.test('any damage to a file reads as nothing, is told once, and the next write mends it', async (t) => {
  const { directory, alice, reasons, log } = scene(t)
  await alice.write(token('CANARY-1'))
  const file = onlyFile(directory)
  const sound = readFileSync(file)
  const damages: ReadonlyArray<readonly [what: string, reason: RegExp, damage: () => void]> = [
    [
      'a flipped byte',
      /altered/,
      () => {
        const bytes = Buffer.from(sound)
        bytes[40] = (bytes[40] ?? 0) ^ 1
        writeFileSync(file, bytes)
      }
    ],
    [
      'empty',
      /altered/,
      () => {
        writeFileSync(file, '')
      }
    ],
    [
      'cut',
      /altered/,
      () => {
        writeFileSync(file, sound.subarray(0, 60))
      }
    ],
    [
      'enormous',
      /far too long/,
      () => {
        writeFileSync(file, Buffer.alloc(300 * 1024))
      }
    ],
    [
      'a link to a sound copy',
      /is a link/,
      () => {
        writeFileSync(join(directory, 'copy'), sound)
        unlinkSync(file)
        symlinkSync('copy', file)
      }
    ],
    [
      'a pipe',
      /no regular file/,
      () => {
        unlinkSync(file)
        execFileSync('mkfifo', [file])
      }
    ]
  ]
  for (const [what, reason, damage] of damages) {
    damage()
    t.equal(await alice.read(), undefined, what)
    t.equal(await alice.read(), undefined, what)
    t.match(reasons().at(-1), reason)
    await alice.write(token('CANARY-2'))
    t.equal((await alice.read())?.value.reveal(), 'CANARY-2', `${what} is mended`)
    t.ok(lstatSync(file).isFile())
  }
  t.equal(log.lines.length, damages.length, 'each told once')
  t.equal(readFileSync(join(directory, 'copy')).equals(sound), true, 'what a link led to is not touched')
})

t.test('a directory in the file\'s place is told, and stays', async (t) => {
  const { directory, alice, reasons } = scene(t)
  await alice.write(token('CANARY-1'))
  const file = onlyFile(directory)
  unlinkSync(file)
  mkdirSync(join(file, 'inside'), { recursive: true })
  t.equal(await alice.read(), undefined)
  await alice.write(token('CANARY-2'))
  t.match(reasons()[0], /its file is/)
  t.same(readdirSync(directory).length, 1, 'and nothing is left beside it')
})

t.test('a directory that is no place for secrets is not used: for a thousand credentials that is one line each way', async (t) => {
  const folder = temporaryFolder(t)
  const places: ReadonlyArray<readonly [name: string, reason: RegExp, make: (path: string) => void]> = [
    ['open', /chmod 700/, (path) => { mkdirSync(path); chmodSync(path, 0o750) }],
    ['link', /is a link/, (path) => { mkdirSync(`${path}-real`, { mode: 0o700 }); symlinkSync(`${path}-real`, path) }],
    ['file', /leads to a file/, (path) => { writeFileSync(path, 'mine') }],
    ['below/file', /leads to a file/, () => { writeFileSync(join(folder, 'below'), 'mine') }]
  ]
  for (const [name, reason, make] of places) {
    const directory = join(folder, name)
    make(directory)
    const { cache, reasons, log } = scene(t, { directory })
    const entries = Array.from({ length: 50 }, (_, index) => cache.of(`c${index}`, identity(`user${index}`, 'pw')))
    await Promise.all(entries.map(async (entry) => {
      t.equal(await entry.read(), undefined)
      await entry.write(token('CANARY-1'))
    }))
    t.match(reasons(), [reason, reason])
    t.same(log.lines.map(({ sentence }) => sentence), ['token cache not used to read', 'token cache not used to write'])
  }
  t.same(readdirSync(join(folder, 'open')), [])
  t.same(readdirSync(join(folder, 'link-real')), [])
})

t.test('a disk that fails is told once, again after it worked, and leaves nothing half-written', async (t) => {
  const { directory, alice, bob, log, reasons } = scene(t)
  await alice.write(token('CANARY-1'))
  rmSync(directory, { recursive: true })
  writeFileSync(directory, '')
  await alice.write(token('CANARY-2'))
  await bob.write(token('CANARY-2'))
  t.equal(log.lines.length, 1)
  unlinkSync(directory)
  await alice.write(token('CANARY-3'))
  t.equal((await alice.read())?.value.reveal(), 'CANARY-3', 'a directory that went is made anew')
  chmodSync(directory, 0o777)
  await bob.write(token('CANARY-4'))
  t.match(reasons(), [/leads to a file/, /chmod 700/])
  t.equal(readdirSync(directory).length, 1)
})

t.test('what a crash left half-written is removed, what another process is writing is not', async (t) => {
  const { directory, alice } = scene(t)
  await alice.write(token('CANARY-1'))
  const file = onlyFile(directory)
  const old = `${file}.0123456789abcdef`
  const young = `${file}.fedcba9876543210`
  const foreign = join(directory, 'notes.txt')
  for (const path of [old, young, foreign]) writeFileSync(path, 'x')
  for (const path of [old, foreign]) utimesSync(path, new Date(0), new Date(0))
  const next = scene(t, { directory })
  t.ok(await next.alice.read())
  t.same(readdirSync(directory).map((name) => join(directory, name)).sort(), [file, young, foreign].sort())
  t.same(next.log.lines, [])
})

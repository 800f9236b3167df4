import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { watchFiles, type FileWatch, type WatchOptions } from '#src/config/read/watch.ts'
import { PATIENCE_MS } from '../../helpers/patience.ts'

interface Watched {
  readonly watch: FileWatch
  /** The contents of the files at each call, in the order of the files. */
  readonly told: string[][]
  /** Resolves with the contents at the call of that number, the first being 1. */
  readonly call: (count: number) => Promise<readonly string[]>
}

function watched (t: Test, files: readonly string[], options: Partial<WatchOptions> = {}): Watched {
  const told: string[][] = []
  let wake = (): void => {}
  const watch = watchFiles({
    files,
    settleMs: 30,
    missingMs: 150,
    onChange: () => {
      told.push(files.map(content))
      wake()
    },
    ...options
  })
  t.teardown(() => { watch.close() })
  return {
    watch,
    told,
    call: async (count) => {
      const end = Date.now() + PATIENCE_MS
      while (told.length < count && Date.now() < end) {
        await new Promise<void>((resolve) => {
          // The watch alone keeps no process alive.
          const timer = setTimeout(resolve, 1000)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return told[count - 1] ?? []
    }
  }
}

function content (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '(gone)'
  }
}

// Without these only the system's own events can tell.
const NO_POLL: Partial<WatchOptions> = { pollMs: 2 ** 31 - 1 }

t.test('a file that is written in place, and one that a rename replaces', async (t) => {
  const dir = t.testdir({ a: '1', b: '1' })
  const { call, told } = watched(t, [`${dir}/a`, `${dir}/b`], NO_POLL)
  writeFileSync(`${dir}/a`, '2')
  t.same(await call(1), ['2', '1'])
  writeFileSync(`${dir}/.b.tmp`, '2')
  renameSync(`${dir}/.b.tmp`, `${dir}/b`)
  t.same(await call(2), ['2', '2'])
  writeFileSync(`${dir}/.b.tmp`, '3')
  renameSync(`${dir}/.b.tmp`, `${dir}/b`)
  t.same(await call(3), ['2', '3'], 'the file that came by a rename is watched too')
  t.equal(told.length, 3)
})

t.test('a file that is truncated and then written is told once, whole', async (t) => {
  const dir = t.testdir({ a: 'old' })
  const { call, told } = watched(t, [`${dir}/a`], { ...NO_POLL, settleMs: 300 })
  writeFileSync(`${dir}/a`, '')
  await new Promise((resolve) => setImmediate(resolve))
  writeFileSync(`${dir}/a`, 'new')
  t.same(await call(1), ['new'])
  t.equal(told.length, 1)
})

t.test('Kubernetes swaps a symbolic link, and no file of the mount is ever written', async (t) => {
  const dir = t.testdir({ mount: { '..2026_1': { key: 'old' }, '..2026_2': { key: 'new' }, '..2026_3': { key: 'newest' } } })
  symlinkSync('..2026_1', `${dir}/mount/..data`)
  symlinkSync('..data/key', `${dir}/mount/key`)
  symlinkSync('mount/key', `${dir}/key`)
  const { call } = watched(t, [`${dir}/key`], NO_POLL)
  for (const [index, [version, text]] of Object.entries({ '..2026_2': 'new', '..2026_3': 'newest' }).entries()) {
    symlinkSync(version, `${dir}/mount/..data_tmp`)
    renameSync(`${dir}/mount/..data_tmp`, `${dir}/mount/..data`)
    t.same(await call(index + 1), [text])
  }
})

t.test('a file that is gone for a moment is no change of its own; one that stays away is', async (t) => {
  const dir = t.testdir({ a: 'old', b: 'old' })
  const { call, told } = watched(t, [`${dir}/a`], { ...NO_POLL, missingMs: 1000 })
  const other = watched(t, [`${dir}/b`], { ...NO_POLL, settleMs: 100 })
  unlinkSync(`${dir}/a`)
  writeFileSync(`${dir}/b`, 'new')
  await other.call(1) // longer than a change of `a` would have had to rest
  writeFileSync(`${dir}/a`, 'new')
  t.same(await call(1), ['new'])
  unlinkSync(`${dir}/a`)
  t.same(await call(2), ['(gone)'])
  writeFileSync(`${dir}/a`, 'newest')
  t.same(await call(3), ['newest'])
  t.equal(told.length, 3)
})

t.test('a file in a folder that is not there yet, and a folder that is replaced', async (t) => {
  const dir = t.testdir({ folder: { a: 'old' } })
  const { call } = watched(t, [`${dir}/folder/a`, `${dir}/later/b`], { pollMs: 50 })
  mkdirSync(`${dir}/later`)
  writeFileSync(`${dir}/later/b`, 'new')
  t.same(await call(1), ['old', 'new'])
  mkdirSync(`${dir}/other`)
  writeFileSync(`${dir}/other/a`, 'new')
  renameSync(`${dir}/folder`, `${dir}/away`)
  renameSync(`${dir}/other`, `${dir}/folder`)
  t.same(await call(2), ['new', 'new'])
  writeFileSync(`${dir}/folder/a`, 'newest')
  t.same(await call(3), ['newest', 'new'])
})

t.test('where the system tells nothing, looking from time to time does', async (t) => {
  const dir = t.testdir({ a: 'old' })
  const { call } = watched(t, [`${dir}/a`], { pollMs: 20, watchFolder: () => undefined })
  writeFileSync(`${dir}/a`, 'new')
  t.same(await call(1), ['new'])
})

t.test('other files of the folder, and a change that is taken back, are nothing', async (t) => {
  const dir = t.testdir({ a: 'old' })
  const { call, told } = watched(t, [`${dir}/a`], NO_POLL)
  for (let count = 0; count < 50; count++) writeFileSync(`${dir}/log`, `${count}`)
  rmSync(`${dir}/log`)
  renameSync(`${dir}/a`, `${dir}/b`)
  renameSync(`${dir}/b`, `${dir}/a`)
  chmodSync(`${dir}/a`, 0o600)
  t.same(await call(1), ['old'], 'a file that may be read by others now, or by us at last, has changed')
  t.equal(told.length, 1)
})

t.test('the files can be exchanged for others, and what changed meanwhile still counts', async (t) => {
  const dir = t.testdir({ a: 'old', b: 'old' })
  const { watch, call, told } = watched(t, [`${dir}/a`, `${dir}/b`], NO_POLL)
  writeFileSync(`${dir}/a`, 'new')
  watch.update([`${dir}/a`])
  t.same(await call(1), ['new', 'old'])
  writeFileSync(`${dir}/b`, 'new')
  watch.update([`${dir}/a`, `${dir}/b`])
  writeFileSync(`${dir}/b`, 'newest')
  t.same(await call(2), ['new', 'newest'])
  t.equal(told.length, 2)
})

t.test('a link to itself and a name that no folder can hold are files that are not there', async (t) => {
  const dir = t.testdir({})
  symlinkSync('loop', `${dir}/loop`)
  const { call } = watched(t, [`${dir}/loop`, `${dir}/${'x'.repeat(300)}`], NO_POLL)
  unlinkSync(`${dir}/loop`)
  writeFileSync(`${dir}/loop`, 'straight')
  t.same(await call(1), ['straight', '(gone)'])
})

t.test('a closed watch tells nothing', async (t) => {
  const dir = t.testdir({ a: 'old' })
  const { watch, told } = watched(t, [`${dir}/a`], { pollMs: 10 })
  const other = watched(t, [`${dir}/a`], { settleMs: 100 })
  writeFileSync(`${dir}/a`, 'new')
  watch.close()
  await other.call(1)
  t.same(told, [])
})

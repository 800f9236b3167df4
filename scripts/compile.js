/**
 * Compiles `src` to `dist` and `test` to `build`, incrementally and with types checked, and removes compiled files without a
 * source: a file that was renamed must neither run as a test nor ship.
 *
 * `node scripts/compile.js` compiles both, `node scripts/compile.js src` what ships, from nothing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The compiler, to be run by `node`: npm's `.bin` is not everywhere on the path. */
export const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))

/** Compiles. Returns the compiler's exit status, after it has printed its findings. */
export function compile (project = 'test') {
  prune('dist', 'src')
  prune('build', 'test')
  return spawnSync(process.execPath, [TSC, '--build', project], { cwd: ROOT, stdio: 'inherit' }).status ?? 1
}

/** Removes the files of a folder that were compiled from sources that are gone. */
export function prune (compiled, source) {
  const folder = join(ROOT, compiled)
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath ?? entry.path, entry.name)
    const stem = /^(.*?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(relative(folder, file))?.[1]
    if (entry.isFile() && stem !== undefined && !existsSync(join(ROOT, source, `${stem}.ts`))) rmSync(file, { force: true })
    if (entry.isDirectory() && !existsSync(join(ROOT, source, relative(folder, file)))) rmSync(file, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const shipped = process.argv[2] === 'src'
  if (shipped) rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
  process.exitCode = compile(shipped ? '.' : 'test')
}

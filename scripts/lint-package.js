/**
 * Judges the package as npm would publish it: publint its files and exports, attw its types as each resolver of TypeScript finds
 * them. It needs what `npm run build` makes, and no network.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './compile.js'

const folder = mkdtempSync(join(tmpdir(), 'countersign-package-'))
try {
  // Without its scripts, which would build once more.
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder])
  const [name = ''] = readdirSync(folder)
  const file = join(folder, name)
  run(process.execPath, [bin('publint/src/cli.js'), file, '--strict'])
  run(process.execPath, [bin('@arethetypeswrong/cli/dist/index.js'), file, '--profile', 'esm-only', '--no-color', '--format', 'ascii'])
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function bin (path) {
  return join(ROOT, 'node_modules', path)
}

function run (command, args) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exitCode = 1
}

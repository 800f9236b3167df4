/** Proxies from npm that only the benchmark needs: installed on demand, apart from what the project depends on. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from '../../scripts/compile.js'
import { installPackages } from '../../scripts/nodes.js'

const FOLDER = join(ROOT, 'node_modules/.cache/bench-peers')
const NAMES = ['http-proxy', 'httpxy', 'fast-proxy']

/** Installs the peers, where they are not there yet. Without a registry they stay absent. */
export function installPeers () {
  if (NAMES.every((name) => peerVersion(name) !== undefined)) return
  try {
    installPackages(FOLDER, NAMES)
  } catch (error) {
    console.error(`${error.message}; they are left out`)
  }
}

/** The version of a peer, or undefined where it is absent. */
export function peerVersion (name) {
  return packageVersion(join(FOLDER, 'node_modules', name))
}

/** The version of a package in a folder, or undefined where there is none. */
export function packageVersion (folder) {
  const file = join(folder, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

export function loadPeer (name) {
  return import(pathToFileURL(createRequire(join(FOLDER, 'index.js')).resolve(name)))
}

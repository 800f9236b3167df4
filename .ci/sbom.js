/**
 * The bill of materials of what is shipped, as CycloneDX on stdout, from the lockfile alone: `npm run sbom`.
 *
 * `npm sbom --omit=dev` also leaves out packages that are shipped and of which a development dependency has another
 * version (npm 11: zod, for one), so it is given a lockfile without those.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = new URL('../', import.meta.url)
const [manifest, lock] = ['package.json', 'package-lock.json'].map((name) => JSON.parse(readFileSync(new URL(name, root), 'utf8')))
delete manifest.devDependencies
delete lock.packages[''].devDependencies
lock.packages = Object.fromEntries(Object.entries(lock.packages).filter(([, { dev }]) => dev !== true))

const place = mkdtempSync(join(tmpdir(), 'cs-'))
try {
  // npm calls the product by its folder.
  const folder = join(place, manifest.name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
  execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
} finally {
  rmSync(place, { recursive: true })
}

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../../scripts/compile.js'
import { startProcess } from '../process.js'
import { versionOf } from './version.js'

const SOURCE = fileURLToPath(new URL('go/main.go', import.meta.url))
const FOLDER = join(ROOT, 'node_modules/.cache/bench-go')
const PROGRAM = join(FOLDER, 'reverse-proxy')

/** The reverse proxy of Go's standard library (go/main.go). */
export const go = {
  name: 'Go httputil.ReverseProxy',
  version: () => versionOf('go', ['version'], /go(\d\S+)/),
  prepare () {
    mkdirSync(FOLDER, { recursive: true })
    const { status, stderr } = spawnSync('go', ['build', '-o', PROGRAM, SOURCE], {
      encoding: 'utf8',
      env: { ...process.env, GO111MODULE: 'off' }
    })
    if (status !== 0) throw new Error(`go build: ${stderr}`)
  },
  start: ({ origin, token }) => startProcess(PROGRAM, [`http://${origin}`, token])
}

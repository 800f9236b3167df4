/** Describes the machine and the versions of a measurement. */
import { spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { ROOT } from '../scripts/compile.js'

export function describeMachine () {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`
  }
}

/** How busy the machine is: the average number of runnable threads in the last minute. */
export function readLoad () {
  return Math.round(loadavg()[0] * 100) / 100
}

/** The revision of this repository, or undefined outside of one. */
export function describeCommit () {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

export function versionOfNode (node) {
  const { error, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`no Node at ${node}`)
  return stdout.trim()
}

import { spawnSync } from 'node:child_process'

/** What a program says of its version, or undefined where it is not installed. */
export function versionOf (program, args, pattern) {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return error === undefined ? pattern.exec(stdout + stderr)?.[1] : undefined
}

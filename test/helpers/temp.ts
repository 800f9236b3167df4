import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder with a short path, as unix sockets need (sun_path holds 107 bytes); removed with the test. */
export function temporaryFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cs-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

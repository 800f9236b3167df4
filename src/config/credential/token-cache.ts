import { lstatSync, type Stats } from 'node:fs'
import { Secret } from '../../secret.ts'
import type { TokenCacheConfig } from '../config.ts'
import type { Path, Reporter } from '../problem.ts'
import type { TokenCacheShape } from '../schema.ts'

const PATH: Path = ['tokenCache']
const KEY_BYTES = 32

/**
 * Checks the key and the directory of the token cache. The directory's permissions may change while the proxy runs, so they
 * cause a warning, here as then: the proxy works without the cache.
 *
 * @param locate makes a path absolute
 * @returns undefined where something is wrong, which is reported
 */
export function resolveTokenCache (
  shape: TokenCacheShape | undefined,
  locate: (name: string) => string,
  reporter: Reporter
): TokenCacheConfig | undefined {
  if (shape === undefined) return undefined
  const key = readKey(shape.key)
  if (key === undefined) {
    reporter.error([...PATH, 'key'], `is not ${KEY_BYTES} bytes in hex or base64; make one with: openssl rand -hex ${KEY_BYTES}`)
  }
  const blank = shape.directory.trim() === ''
  if (blank) reporter.error([...PATH, 'directory'], 'is empty; name a directory')
  const directory = locate(shape.directory)
  if (!blank) checkDirectory(directory, reporter)
  return key === undefined || blank ? undefined : { directory, key: new Secret(key.toString('hex')) }
}

/** Base64 with or without padding, in either alphabet (RFC 4648 sections 4 and 5). */
function readKey (text: string): Buffer | undefined {
  const trimmed = text.trim()
  if (/^[0-9A-Fa-f]{64}$/.test(trimmed)) return Buffer.from(trimmed, 'hex')
  if (!/^[\w+/-]{43}=?$/.test(trimmed)) return undefined
  const bytes = Buffer.from(trimmed, 'base64')
  return bytes.length === KEY_BYTES ? bytes : undefined
}

function checkDirectory (directory: string, reporter: Reporter): void {
  const stats = statsOf(directory)
  if (stats === undefined) return
  const path = [...PATH, 'directory']
  if (stats.isSymbolicLink()) reporter.error(path, 'is a link, which could be turned elsewhere; name the directory itself')
  else if (!stats.isDirectory()) reporter.error(path, 'is a file; name a directory')
  // Windows has no such bits: Node makes them up.
  else if ((stats.mode & 0o077) !== 0 && process.platform !== 'win32') {
    reporter.warning(path, 'other users of this machine may enter it, so it is not used; run chmod 700 on it')
  }
}

/** @returns undefined where there is nothing yet, or nothing that this user can see */
function statsOf (path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

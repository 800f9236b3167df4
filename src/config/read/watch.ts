import { lstatSync, readlinkSync, statSync, watch, type FSWatcher } from 'node:fs'
import { parse, resolve, sep } from 'node:path'

export interface WatchOptions {
  /** Absolute paths, of files that need not exist. */
  readonly files: readonly string[]
  /** Called once the files differ from what they were at the last call, or at the start. */
  readonly onChange: () => void
  /** How long the files must rest before a change counts: somebody may still be writing. */
  readonly settleMs?: number
  /** The same where a file has gone: it may be on its way to be replaced. */
  readonly missingMs?: number
  /** How often to look without being told to: inotify tells nothing on some mounts (NFS, single files in containers). */
  readonly pollMs?: number
  /** Tells of changes in a folder, as `fs.watch`. */
  readonly watchFolder?: (folder: string, listener: (event: string, name: string | null) => void) => Pick<FSWatcher, 'close'> | undefined
}

/** A watch that goes on until it is closed; it keeps no process alive. */
export interface FileWatch {
  /** Watches these files from now on. A change since the last look at a file still counts. */
  readonly update: (files: readonly string[]) => void
  readonly close: () => void
}

const SETTLE_MS = 200
const MISSING_MS = 2000
const POLL_MS = 5000
const ABSENT = 'absent'
const SPECIAL = 'special'

/**
 * Tells when files have changed, however that is done: written in place, replaced by a rename, or moved under them by the
 * swap of a symbolic link (Kubernetes' `..data`). Files are known by what `stat` says of them, so a busy folder costs
 * little, and a change that the system's watcher missed is found by looking from time to time.
 */
export function watchFiles (options: WatchOptions): FileWatch {
  const { onChange, settleMs = SETTLE_MS, missingMs = MISSING_MS, pollMs = POLL_MS, watchFolder = watchQuietly } = options
  let watchers: ReadonlyArray<Pick<FSWatcher, 'close'> | undefined> = []
  /** The fingerprints at the last call of `onChange` and at the last look, by file. */
  let told = new Map<string, string>()
  let seen = new Map<string, string>()
  let settling: NodeJS.Timeout | undefined
  const polling = setInterval(look, pollMs).unref()
  update(options.files)
  return { update, close }

  function update (files: readonly string[]): void {
    told = new Map(files.map((file) => [file, told.get(file) ?? fingerprint(file)]))
    seen = new Map(files.map((file) => [file, seen.get(file) ?? told.get(file) ?? ABSENT]))
    watchAnew()
    look()
  }

  function close (): void {
    clearInterval(polling)
    clearTimeout(settling)
    for (const watcher of watchers) watcher?.close()
    watchers = []
  }

  /** Looks at the files; where they are not what was seen last, waits until they rest. */
  function look (): void {
    const now = fingerprints(seen.keys())
    if (same(now, seen)) return
    seen = now
    const gone = [...now].some(([file, print]) => print === ABSENT && told.get(file) !== ABSENT)
    clearTimeout(settling)
    settling = setTimeout(settle, gone ? missingMs : settleMs).unref()
  }

  function settle (): void {
    const rested = seen
    look()
    if (rested !== seen || same(seen, told)) return
    told = seen
    watchAnew()
    onChange()
  }

  // All of them: a watch stays with a folder that was moved away.
  function watchAnew (): void {
    for (const watcher of watchers) watcher?.close()
    watchers = Array.from(namesByFolder(seen.keys()), ([folder, names]) =>
      watchFolder(folder, (_event, changed) => {
        if (changed === null || names.has(changed)) look()
      })
    )
  }
}

/** The folders that decide what the files are, each with the names in it that count. */
function namesByFolder (files: Iterable<string>): Map<string, Set<string>> {
  const folders = new Map<string, Set<string>>()
  for (const { folder, name } of [...files].flatMap(entriesOf)) folders.set(folder, (folders.get(folder) ?? new Set()).add(name))
  return folders
}

function fingerprints (files: Iterable<string>): Map<string, string> {
  return new Map(Array.from(files, (file) => [file, fingerprint(file)]))
}

// The change time too: a file that may be read at last has changed. Special files are not read again, and the
// instants of a pipe move whenever somebody reads or writes.
function fingerprint (file: string): string {
  try {
    const stats = statSync(file, { bigint: true })
    if (!stats.isFile()) return SPECIAL
    const { dev, ino, size, mtimeNs, ctimeNs } = stats
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  } catch {
    return ABSENT
  }
}

function same (some: ReadonlyMap<string, string>, others: ReadonlyMap<string, string>): boolean {
  return [...some].every(([file, print]) => others.get(file) === print)
}

interface FolderEntry {
  readonly folder: string
  readonly name: string
}

const MOST_LINKS = 40

/** The folder entries that a path leads through: its own, and each symbolic link on the way; as far as they exist. */
function entriesOf (path: string): FolderEntry[] {
  const entries: FolderEntry[] = []
  const { root } = parse(path)
  let folder = root
  let rest = path.slice(root.length).split(sep)
  for (let links = 0; links <= MOST_LINKS;) {
    const [name, ...further] = rest
    if (name === undefined) break
    const next = resolve(folder, name)
    const link = readLink(next)
    if (link !== undefined || further.length === 0) entries.push({ folder, name })
    if (link === undefined) {
      folder = next
      rest = further
      continue
    }
    links++
    const target = resolve(folder, link)
    folder = parse(target).root
    rest = [...target.slice(folder.length).split(sep), ...further]
  }
  return entries
}

function readLink (path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}

/** Where the system cannot watch (no such folder, no inotify instance left), looking from time to time has to do. */
function watchQuietly (folder: string, listener: (event: string, name: string | null) => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, listener).on('error', () => {})
  } catch {
    return undefined
  }
}

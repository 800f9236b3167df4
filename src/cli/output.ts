import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { LineWriter } from '../line-writer.ts'

/** Opens stdout (1) or stderr (2) for lines; lines that wait when the process ends are written then, as far as somebody reads. */
export function openOutput (descriptor: 1 | 2): LineWriter {
  const target = openAnew(descriptor)
  const writer = new LineWriter((bytes) => writeSync(target, bytes))
  process.on('exit', () => { writer.flush() })
  return writer
}

/**
 * Returns a descriptor that never waits for its reader. That is a property of the open file, not of the descriptor, and others
 * may share it (a shell has its terminal): hence one of our own, where there is a name to open it by. A socket has none,
 * and other users' pipes must not be opened; those Node itself has made so, when it made `process.stdout` of them.
 */
function openAnew (descriptor: 1 | 2): number {
  // Files never wait, and one that is opened anew begins at its start.
  if (fstatSync(descriptor).isFile()) return descriptor
  try {
    return openSync(`/dev/fd/${descriptor}`, constants.O_WRONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0))
  } catch {
    return descriptor
  }
}

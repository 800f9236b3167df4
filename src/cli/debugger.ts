import type Inspector from 'node:inspector'

/**
 * Closes the debugger that a SIGUSR1 has opened before anybody could hear it; one that was asked for stays.
 *
 * @param options of Node, however they were given
 */
export function closeUnaskedDebugger (options: string): void {
  if (options.includes('--inspect')) return
  try {
    const inspector = process.getBuiltinModule('node:inspector') as typeof Inspector
    if (inspector.url() !== undefined) inspector.close()
  } catch {
    // A Node that was built without one.
  }
}

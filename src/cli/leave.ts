import { accessSync, constants } from 'node:fs'

/** Resources that stand for work in libuv's pool of threads, which no abort reaches: looking up a name, reading a file. */
const POOLED = /^(?:GetAddrInfo|GetNameInfo|FSReq)/

/**
 * Ends the process with a status, whatever still hangs. `process.exit` waits for libuv's threads, and a resolver that does not
 * respond, or a file system that is away, holds one for half a minute or for ever. Where Node can replace this program by
 * another (from 22.15 on), this function does so: nothing of this process is left to wait for.
 *
 * @param hanging whether something may hold a thread
 */
export function leave (status: number, hanging = process.getActiveResourcesInfo().some((name) => POOLED.test(name))): never {
  if (hanging) replace(status)
  process.exit(status)
}

/** Returns where that cannot be done: in Node 20, under its permission model, or where its executable is gone. */
function replace (status: number): void {
  const execve: unknown = Reflect.get(process, 'execve')
  if (typeof execve !== 'function') return
  try {
    // Before 26, Node aborts where it cannot.
    accessSync(process.execPath, constants.X_OK)
    // The new program needs a folder that exists, and reads a package.json in it.
    process.chdir('/')
    // Node's exit handlers run only when the process ends the usual way.
    process.emit('exit', status)
    // No environment: NODE_OPTIONS would have it load what was preloaded here.
    execve.call(process, process.execPath, [process.execPath, '--eval', `process.exitCode = ${status}`], {})
  } catch {}
}

import { accessSync, constants } from 'node:fs'

/** What stands for work in libuv's pool of threads that no abort reaches: looking up a name, reading a file. */
const POOLED = /^(?:GetAddrInfo|GetNameInfo|FSReq)/

/**
 * Ends the process with a status, whatever still hangs. `process.exit` waits for libuv's threads, and a name that no resolver
 * answers, or a file system that is away, holds one for half a minute or for ever. Where Node can put another program in the
 * place of this one (from 22.15 on), that is done then: nothing of this process is left to be waited for.
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
    // Its new program needs a folder that is there, and takes notice of a package.json in it.
    process.chdir('/')
    // Only what ends the usual way tells of it.
    process.emit('exit', status)
    // No environment: NODE_OPTIONS would have it load what was preloaded here.
    execve.call(process, process.execPath, [process.execPath, '--eval', `process.exitCode = ${status}`], {})
  } catch {}
}

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
  const execve: unknown = Reflect.get(process, 'execve')
  if (hanging && typeof execve === 'function') {
    // Only what ends the usual way tells of it.
    process.emit('exit', status)
    execve.call(process, process.execPath, [process.execPath, '--eval', `process.exitCode = ${status}`], {})
  }
  process.exit(status)
}

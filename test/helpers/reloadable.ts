import { writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { interpretDaemon } from './command.ts'
import { startDaemon, type Daemon } from './daemon.ts'
import { call } from './plain-client.ts'

/** A daemon whose files a test changes. */
export interface Reloadable {
  readonly daemon: Daemon
  readonly dir: string
  readonly address: string
  readonly admin: string
  /** Writes the configuration file anew, and resolves with the log line once it has taken over. */
  readonly configure: (config: object | string) => Promise<Record<string, unknown>>
  /** Writes the configuration file anew, and resolves once it was refused. */
  readonly refuse: (config: object | string) => Promise<void>
  /** Resolves with the log line of the next reload that takes over after `change`. */
  readonly reloaded: (change: () => void) => Promise<Record<string, unknown>>
  readonly status: () => Promise<Status>
  /** The value of a metric's line, its labels included in the name; undefined where there is none. */
  readonly metric: (name: string) => Promise<number | undefined>
}

interface Status {
  readonly ready: boolean
  readonly reload: { readonly at: string, readonly outcome: string } | null
  readonly credentials: ReadonlyArray<{
    readonly name: string
    readonly state: string
    readonly logins: number
    readonly refreshes: number
    readonly failures: number
    readonly lastError: { readonly code: string } | null
  }>
  readonly routes: ReadonlyArray<{ readonly prefix: string | null, readonly listen: string }>
}

export const ANY_PORT = { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }

export interface ReloadableOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  /** True: in this process, for what the executable is not needed for. */
  readonly here?: boolean
}

/** Starts `serve` with this configuration, and ends it with the test. */
export async function startReloadable (
  t: Test,
  config: object | string,
  { env = {}, files = {}, here = false }: ReloadableOptions = {}
): Promise<Reloadable> {
  const dir = t.testdir({ 'countersign.jsonc': textOf(config), ...files })
  const file = `${dir}/countersign.jsonc`
  const daemon = (here ? interpretDaemon : startDaemon)(['serve', '-c', file], { env, cwd: dir })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = (await daemon.line('listening')) as { address: string, admin: string } // the contract's fields
  const count = (message: string): number => daemon.lines().filter(({ msg }) => msg === message).length
  const reloaded: Reloadable['reloaded'] = async (change) => {
    const before = count('configuration reloaded')
    change()
    return await daemon.line('configuration reloaded', before + 1)
  }
  return {
    daemon,
    dir,
    address,
    admin,
    reloaded,
    configure: (next) =>
      reloaded(() => {
        writeFileSync(file, textOf(next))
      }),
    refuse: async (next) => {
      const before = count('reload failed, the old configuration keeps serving')
      writeFileSync(file, textOf(next))
      await daemon.line('reload failed, the old configuration keeps serving', before + 1)
    },
    status: async () => JSON.parse((await call(admin, '/status')).body) as Status,
    metric: async (name) => {
      const line = (await call(admin, '/metrics')).body.split('\n').find((one) => one.startsWith(`${name} `))
      return line === undefined ? undefined : Number(line.slice(name.length + 1))
    }
  }
}

function textOf (config: object | string): string {
  return typeof config === 'string' ? config : JSON.stringify(config, undefined, 2)
}

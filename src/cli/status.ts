import { adminAddress, askAdmin, describeAdmin } from './admin-client.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, type Command } from './command.ts'

/** What of `/status` is printed (contract section 7). */
interface Status {
  readonly version: string
  readonly startedAt: string
  readonly ready: boolean
  readonly credentials: ReadonlyArray<{
    readonly name: string
    readonly type: string
    readonly state: string
    readonly expiresAt: string | null
    readonly refreshAt: string | null
    readonly logins: number
    readonly refreshes: number
    readonly failures: number
    readonly lastError: { readonly code: string, readonly message: string, readonly at: string } | null
  }>
  readonly routes: ReadonlyArray<{ readonly prefix: string | null, readonly listen: string, readonly upstream: string, readonly credential: string | null, readonly schemes: readonly string[] }>
}

export const status: Command = {
  name: 'status',
  usage: '[--json] [options]',
  summary: 'the running daemon\'s credentials and routes',
  options: { ...CONFIG_OPTIONS, admin: LISTEN_OPTIONS.admin, json: { type: 'boolean', value: '', help: 'print /status as it is' } },
  positionals: { min: 0, max: 0 },
  run: async (context) => {
    const address = await adminAddress(context)
    let body = ''
    try {
      if (typeof address === 'object') {
        const answer = await askAdmin(address, '/status')
        if (answer.statusCode === 200) body = answer.body
      }
    } catch {
      // Said below: whatever the reason, no daemon answers there.
    }
    if (body === '') {
      context.stderr.write(`not running: ${describeAdmin(address)}\n`)
      return EXIT.unavailable
    }
    const facts = JSON.parse(body) as Status // of our own daemon
    context.stdout.write(context.options['json'] === true ? `${body}\n` : describe(facts))
    return facts.ready ? EXIT.ok : EXIT.failed
  }
}

function describe ({ version, startedAt, ready, credentials, routes }: Status): string {
  const lines = [`countersign ${version}, ${ready ? 'ready' : 'NOT READY'}, running since ${startedAt}`, '']
  lines.push(...table(
    ['CREDENTIAL', 'TYPE', 'STATE', 'EXPIRES', 'REFRESH DUE', 'LOGINS', 'REFRESHES', 'FAILURES'],
    credentials.map((one) => [one.name, one.type, one.state, one.expiresAt ?? '-', one.refreshAt ?? '-', String(one.logins), String(one.refreshes), String(one.failures)])
  ))
  for (const { name, lastError } of credentials) if (lastError !== null) lines.push(`  ${name}: ${lastError.code} at ${lastError.at}: ${lastError.message}`)
  lines.push('', ...table(
    ['ROUTE', 'LISTEN', 'UPSTREAM', 'CREDENTIAL', 'SCHEMES'],
    routes.map((one) => [one.prefix ?? '-', one.listen, one.upstream, one.credential ?? '-', one.schemes.join(', ') || '-'])
  ))
  return `${lines.join('\n')}\n`
}

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)))
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}

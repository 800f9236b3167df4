import { printable } from '../http/printable.ts'
import { adminAddress, askAdmin, describeAdmin } from './admin-client.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, type Command } from './command.ts'
import { isStatus, type Status } from './status-response.ts'

/** Longer than real cells; a stranger's must not fill a terminal or the memory. */
const LONGEST_CELL = 300

export const status: Command = {
  name: 'status',
  usage: '[--json] [options]',
  summary: 'the running daemon\'s credentials and routes',
  options: { ...CONFIG_OPTIONS, admin: LISTEN_OPTIONS.admin, json: { type: 'boolean', value: '', help: 'print /status as it is' } },
  positionals: { min: 0, max: 0 },
  run: async (context) => {
    const address = await adminAddress(context)
    const result = typeof address === 'object' ? await askAdmin(address, '/status') : 'absent'
    if (typeof result === 'string' || result.statusCode !== 200 || !isStatus(result.body)) {
      context.stderr.write(`not running: ${describeAdmin(address, result)}\n`)
      return EXIT.unavailable
    }
    const { body } = result
    context.stdout.write(context.options['json'] === true ? `${printable(JSON.stringify(body))}\n` : describe(body))
    return body.ready ? EXIT.ok : EXIT.failed
  }
}

function describe ({ version, startedAt, ready, credentials, routes }: Status): string {
  const lines = [`countersign ${cell(version)}, ${ready ? 'ready' : 'NOT READY'}, running since ${cell(startedAt)}`, '']
  lines.push(
    ...table(
      ['CREDENTIAL', 'TYPE', 'STATE', 'EXPIRES', 'REFRESH DUE', 'LOGINS', 'REFRESHES', 'FAILURES'],
      credentials.map((one) => [
        one.name,
        one.type,
        one.state,
        one.expiresAt ?? '-',
        one.refreshAt ?? '-',
        String(one.logins),
        String(one.refreshes),
        String(one.failures)
      ])
    )
  )
  for (const { name, lastError } of credentials) {
    if (lastError !== null) lines.push(`  ${cell(name)}: ${cell(lastError.code)} at ${cell(lastError.at)}: ${cell(lastError.message)}`)
  }
  lines.push('', ...table(
    ['ROUTE', 'LISTEN', 'UPSTREAM', 'CREDENTIAL', 'SCHEMES'],
    routes.map((one) => [one.prefix ?? '-', one.listen, one.upstream, one.credential ?? '-', one.schemes.join(', ') || '-'])
  ))
  return `${lines.join('\n')}\n`
}

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const cells = rows.map((row) => row.map(cell))
  const widths = head.map((title, column) => cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), title.length))
  return [head, ...cells].map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}

function cell (text: string): string {
  return printable(text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL)}…` : text)
}

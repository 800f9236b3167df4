import { setTimeout as delay } from 'node:timers/promises'
import { adminAddress, askAdmin, describeAdmin, type AdminResult } from './admin-client.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, stringOption, type Command } from './command.ts'

const DEFAULT_MAX_MS = 30_000
const POLL_MS = 100
const SHORTEST_RESPONSE_MS = 50
const NOT_READY = 'the daemon runs and is not ready; `countersign status` tells why'

export const wait: Command = {
  name: 'wait',
  usage: '[--max 30s] [options]',
  summary: 'return once the daemon is ready',
  options: {
    ...CONFIG_OPTIONS,
    admin: LISTEN_OPTIONS.admin,
    max: { type: 'string', value: 'TIME', help: 'give up after this long (500ms, 30s, 2m; default 30s)' }
  },
  positionals: { min: 0, max: 0 },
  run: async (context) => {
    const maxMs = parseDuration(stringOption(context, 'max') ?? `${DEFAULT_MAX_MS}ms`)
    if (maxMs === undefined) {
      context.stderr.write('--max is no time; write 500ms, 30s or 2m\n')
      return EXIT.usage
    }
    const address = await adminAddress(context)
    if (typeof address !== 'object') {
      context.stderr.write(`${describeAdmin(address)}\n`)
      return EXIT.failed
    }
    const deadline = performance.now() + maxMs
    let result: AdminResult
    for (;;) {
      result = await askAdmin(address, '/ready', Math.max(deadline - performance.now(), SHORTEST_RESPONSE_MS))
      if (typeof result === 'object' && result.statusCode === 200 && result.body['ready'] === true) return EXIT.ok
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) break
      await delay(Math.min(POLL_MS, leftMs))
    }
    context.stderr.write(
      `timed out: ${typeof result === 'object' && result.body['ready'] === false ? NOT_READY : describeAdmin(address, result)}\n`
    )
    return EXIT.failed
  }
}

/** Reads `500ms`, `30s`, `2m`, or a plain number of seconds, as milliseconds; undefined where the text is no duration. */
export function parseDuration (text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(text)
  if (match === null) return undefined
  const unit = match[2] === 'ms' ? 1 : match[2] === 'm' ? 60_000 : 1000
  return Number(match[1]) * unit
}

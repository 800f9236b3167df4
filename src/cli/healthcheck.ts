import { adminAddress, askAdmin, describeAdmin } from './admin-client.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, type Command } from './command.ts'

export const healthcheck: Command = {
  name: 'healthcheck',
  usage: '[options]',
  summary: 'for a container\'s HEALTHCHECK: is the daemon live',
  options: { ...CONFIG_OPTIONS, admin: LISTEN_OPTIONS.admin },
  positionals: { min: 0, max: 0 },
  run: async (context) => {
    const address = await adminAddress(context)
    const result = typeof address === 'object' ? await askAdmin(address, '/live') : 'absent'
    if (typeof result === 'object' && result.statusCode === 200 && result.body['live'] === true) return EXIT.ok
    context.stderr.write(`not live: ${describeAdmin(address, result)}\n`)
    return EXIT.failed
  }
}

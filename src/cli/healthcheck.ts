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
    try {
      if (typeof address === 'object') {
        const { statusCode } = await askAdmin(address, '/live')
        if (statusCode === 200) return EXIT.ok
      }
    } catch {
      // Said below: whatever the reason, nothing live answers there.
    }
    context.stderr.write(`not live: ${describeAdmin(address)}\n`)
    return EXIT.failed
  }
}

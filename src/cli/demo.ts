import { credentialOf, DEMO_TOKEN_LIFE, startDemoSystem, type DemoSystem } from '../demo/system.ts'
import type { EmulatorCall } from '../demo/cognito-calls.ts'
import { loadConfig } from '../config/load.ts'
import { formatAddress } from '../http/address.ts'
import { createLogger } from '../logger.ts'
import { startServer, type RunningServer } from '../server.ts'
import { EXIT, LISTEN_OPTIONS, stringOption, type Command, type CommandContext } from './command.ts'
import { endDaemon } from './end-daemon.ts'
import { reportListenError } from './listen-error.ts'
import { printProblems } from './load.ts'

export const demo: Command = {
  name: 'demo',
  usage: '[--listen ADDR] [--admin ADDR]',
  summary: 'the whole system on this machine, with no account: identity provider, upstream, proxy',
  options: LISTEN_OPTIONS,
  positionals: { min: 0, max: 0 },
  daemon: true,
  run
}

async function run (context: CommandContext): Promise<number> {
  const { signals } = context
  const [output, errors] = [context.openOutput(1), context.openOutput(2)]
  // The demo reloads nothing, so a terminal that is closed ends it as Ctrl-C does.
  const ended = Promise.race([signals.ended, new Promise<'SIGHUP'>((resolve) => { signals.onHangUp(() => { resolve('SIGHUP') }) })])
  const system = await startDemoSystem((call) => { output.write(describeCall(call), 'usual') })
  // The files hold secrets, so they go whatever ends the process.
  process.once('exit', system.removeFiles)
  try {
    const loaded = loadConfig({
      env: ownEnvironment(context.env),
      cwd: context.cwd,
      options: {
        config: system.configFile,
        secrets: system.secretsFile,
        listen: stringOption(context, 'listen'),
        admin: stringOption(context, 'admin')
      }
    })
    if (!loaded.ok) {
      printProblems(context, loaded.problems)
      return EXIT.config
    }
    const { config } = loaded
    const log = createLogger({
      level: 'warn',
      destination: errors,
      readable: true,
      colour: context.stderr.isTTY === true && context.env['NO_COLOR'] === undefined
    })
    const starting = startServer({ config, log, proxies: {} })
    const outcome = await Promise.race([starting, ended])
    if (typeof outcome !== 'string') {
      output.write(introduction(outcome, system), 'usual')
      await ended
    }
    output.write('\nThe demo has ended; its secrets are gone.\n', 'usual')
    await endDaemon({ server: starting, shutdownTimeoutMs: config.shutdownTimeoutMs, log, outputs: [output, errors] })
    return EXIT.ok
  } catch (error) {
    return reportListenError(error, context)
  } finally {
    await system.close()
  }
}

/** Takes from the user's environment only the addresses to listen on and the names that are let in; the demo configures the rest. */
function ownEnvironment (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = ['COUNTERSIGN_LISTEN', 'COUNTERSIGN_ADMIN', 'COUNTERSIGN_ALLOW_EXTERNAL', 'COUNTERSIGN_ALLOWED_HOSTS']
  return Object.fromEntries(names.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]))
}

function introduction (server: RunningServer, { emulator, upstream, configFile }: DemoSystem): string {
  const proxy = formatAddress(server.address)
  const unix = server.address.type === 'unix' ? `--unix-socket ${server.address.path} ` : ''
  const base = server.address.type === 'unix' ? 'http://localhost' : `http://${proxy}`
  const admin =
    server.admin === 'off' ? 'off' : server.admin.type === 'unix' ? formatAddress(server.admin) : `http://${formatAddress(server.admin)}`
  return `
Countersign demo: an identity provider, an API and the proxy between them, all on this machine.

  identity provider  ${emulator.url}   an emulator of Amazon Cognito that really verifies SRP
  API                ${upstream.url}   wants a genuine token, and shows what reached it
  proxy              ${base === `http://${proxy}` ? base : proxy}   takes plain HTTP and puts the credentials on
  probes and status  ${admin}
  configuration      ${configFile}

Without the proxy the API keeps you out; through it, nothing but a URL is needed. In another terminal:

  curl -i ${upstream.url}/txs
  curl -i ${unix}${base}/relayer/txs
  curl -i ${unix}${base}/relayer/txs -d '{"to":"0x0","value":1}'
  curl -i ${unix}'${base}/orders/42?status=open'
  curl -i ${unix}${base}/maps/tiles
  curl -i ${unix}${base}/relayer/secrets -X DELETE${admin.startsWith('http') ? `\n  curl ${admin}/status` : ''}

Tokens live ${DEMO_TOKEN_LIFE} s here, not an hour, so that you can watch them being refreshed. Ctrl-C ends the demo.

`
}

/** Describes a token request in a line; the first half of an SRP login gets none. */
function describeCall (call: EmulatorCall): string {
  if (call.outcome === 'challenge') return ''
  const kind = call.flow === 'PASSWORD_VERIFIER' ? 'login (SRP)' : 'refresh'
  const news = call.tokenId === undefined ? call.outcome : `new token …${call.tokenId.slice(-6)}, good for ${DEMO_TOKEN_LIFE} s`
  return `${new Date(call.at).toISOString().slice(11, 19)}  ${credentialOf(call).padEnd(8)}  ${kind.padEnd(11)}  ${news}\n`
}

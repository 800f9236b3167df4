// A process that logs in once and prints what came of it: NODE_EXTRA_CA_CERTS is read when a process starts. It closes nothing,
// so it ends only if a login leaves nothing open.
import { NEVER, sourceFor } from './oauth2.ts'
import { TokenError } from '#src/token/token.ts'
import type { ProxyEnvironment } from '#src/upstream/connect.ts'

const [tokenUrl = '', proxies = '{}'] = process.argv.slice(2)

sourceFor(tokenUrl, {}, { proxies: JSON.parse(proxies) as ProxyEnvironment }).token(NEVER).then(
  () => { console.log(JSON.stringify({ code: 'ok' })) },
  (error: unknown) => {
    const { class: failure, code, message } = error instanceof TokenError ? error : { class: 'none', code: 'none', message: String(error) }
    console.log(JSON.stringify({ class: failure, code, message }))
  }
)

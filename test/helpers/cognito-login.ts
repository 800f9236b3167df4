// A process that logs in once and prints what came of it. It closes nothing: an idle worker must not keep it alive, and a login
// under way must.
import { NEVER, sourceFor } from './cognito.ts'
import { readProxyEnvironment } from '#src/http/proxies.ts'
import { CognitoWorker } from '#src/token/cognito/source.ts'
import { TokenError } from '#src/token/token.ts'

const [endpoint = '', deadlineMs = '10000'] = process.argv.slice(2)

sourceFor(endpoint, new CognitoWorker({ proxies: readProxyEnvironment(process.env), deadlineMs: Number(deadlineMs) })).token(NEVER).then(
  () => { console.log(JSON.stringify({ code: 'ok' })) },
  (error: unknown) => {
    const { class: failure, code, message } = error instanceof TokenError ? error : { class: 'none', code: 'none', message: String(error) }
    console.log(JSON.stringify({ class: failure, code, message }))
  }
)

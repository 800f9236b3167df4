import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

export const LIFETIME_S = 60

const HTML = '<!doctype html><title>Not what you asked for</title>'
const json = (status, body, headers = {}) => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body)
})

/** Ways of a provider to misbehave that look alike everywhere. */
const ANSWERS = {
  500: () => json(500, { message: 'internal error' }),
  'bad gateway': () => ({ status: 502, headers: { 'content-type': 'text/html' }, body: HTML }),
  'captive portal': () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: HTML }),
  'empty 200': () => ({ status: 200, headers: {}, body: '' }),
  'no token': () => json(200, {})
}

/** How an identity provider can be for a while. */
export const FAULTS = ['down', 'hang', 'throttled', 'truncated', 'reset', 'slow', ...Object.keys(ANSWERS)]

/**
 * An identity provider with weather: a server in front of the real one, which answers in its place, or spoils its responses.
 * Tokens go into the ledger as they pass.
 *
 * @param inner how the provider responses when nothing is wrong, how its refusals read, and how its refresh tokens are revoked where it has
 *   any
 */
export async function startProvider ({ inner, ledger }) {
  let weather = 'fair'
  let fairSince = Date.now()
  let delayMs = 0
  const hanging = new Set()
  const server = createServer((request, response) => { handle(request, response).catch(() => { response.destroy() }) })
  server.on('connection', (socket) => { if (weather === 'down') socket.resetAndDestroy() })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  return { url: `http://127.0.0.1:${server.address().port}`, become, fairSince: () => fairSince, revoke: inner.revoke, close }

  function become (next, { slowMs = 0 } = {}) {
    weather = next
    delayMs = slowMs
    fairSince = next === 'fair' ? Date.now() : undefined
    if (next === 'down') server.closeAllConnections()
    // Whom a hang caught finds out that the provider is back.
    for (const response of hanging) response.destroy()
    hanging.clear()
  }

  async function handle (request, response) {
    const now = weather
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    if (now === 'down') return response.socket?.resetAndDestroy()
    if (now === 'hang') {
      hanging.add(response)
      response.once('close', () => { hanging.delete(response) })
      return
    }
    if (now === 'throttled' || now === 'in disguise') return send(response, inner.refusals[now])
    if (now in ANSWERS) return send(response, ANSWERS[now]())
    const answer = await inner.answer(request, Buffer.concat(chunks).toString())
    if (now === 'slow') await new Promise((resolve) => { setTimeout(resolve, delayMs) })
    if (now === 'truncated') return send(response, { ...answer, body: answer.body.slice(0, response.body.length / 2) })
    if (now === 'reset') {
      response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) })
      return response.write(answer.body.slice(0, response.body.length / 2), () => { response.socket?.resetAndDestroy() })
    }
    const token = answer.token && ledger.issue(answer.token.value, answer.token.credential, answer.token.expiresAt)
    // A caller that has left by now does not know the token.
    if (token !== undefined) response.once('finish', () => { if (response.socket?.destroyed !== true) ledger.deliver(token) })
    send(response, answer)
  }

  async function close () {
    await new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  }
}

function send (response, { status, headers, body }) {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** The Cognito emulator behind the weather. `credentials` tells whose a user name is. */
export function createCognito (emulator, credentials) {
  const refusal = (code, message) => json(400, { __type: code, message }, { 'x-amzn-errortype': `${code}:` })
  return {
    refusals: {
      throttled: refusal('TooManyRequestsException', 'Rate exceeded'),
      // OpenZeppelin/defender-client#153.
      'in disguise': refusal('NotAuthorizedException', 'Incorrect username or password.')
    },
    revoke: () => { emulator.revokeRefreshTokens() },
    async answer (request, body) {
      const { 'content-type': type, 'x-amz-target': target } = request.headers
      const answer = await fetch(emulator.url, { method: 'POST', headers: { 'content-type': type, 'x-amz-target': target }, body })
      const text = await answer.text()
      const value = JSON.parse(text).AuthenticationResult?.AccessToken
      const headers = { 'content-type': 'application/x-amz-json-1.1', date: answer.headers.get('date') }
      if (value === undefined) return { status: answer.status, headers, body: text }
      const { username, exp } = JSON.parse(Buffer.from(value.split('.')[1], 'base64url').toString())
      return { status: answer.status, headers, body: text, token: { value, credential: credentials.get(username), expiresAt: exp * 1000 } }
    }
  }
}

/**
 * A token endpoint for client credentials (RFC 6749 section 4.4). `clients` has the secret of each; a client's id is its credential's name.
 */
export function createOAuth2 (clients) {
  return {
    refusals: {
      throttled: json(429, { error: 'slow_down' }, { 'retry-after': '3' }),
      'in disguise': json(401, { error: 'invalid_client' })
    },
    async answer (request, body) {
      const [id, secret] = Buffer.from((request.headers.authorization ?? '').slice('Basic '.length), 'base64').toString().split(':')
      if (clients.get(id) !== secret || new URLSearchParams(body).get('grant_type') !== 'client_credentials') {
        return json(401, { error: 'invalid_client' })
      }
      const value = `${id}-${randomUUID()}`
      return {
        ...json(200, { access_token: value, token_type: 'Bearer', expires_in: LIFETIME_S }),
        token: { value, credential: id, expiresAt: Date.now() + LIFETIME_S * 1000 }
      }
    }
  }
}

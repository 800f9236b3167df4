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
const RESPONSES = {
  500: () => json(500, { message: 'internal error' }),
  'bad gateway': () => ({ status: 502, headers: { 'content-type': 'text/html' }, body: HTML }),
  'captive portal': () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: HTML }),
  'empty 200': () => ({ status: 200, headers: {}, body: '' }),
  'no token': () => json(200, {})
}

/** The faults that an identity provider can have for a while. */
export const FAULTS = ['down', 'hang', 'throttled', 'truncated', 'reset', 'slow', ...Object.keys(RESPONSES)]

/**
 * An identity provider with weather: a server in front of the real one, which responds in its place, or spoils its responses.
 * Tokens go into the ledger as they pass.
 *
 * @param inner `respond`, for when nothing is wrong; `refusals`, as the provider words them; `revoke` of its refresh tokens, where it
 *   has any
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
    // Callers that a hang caught find out that the provider is back.
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
    if (now in RESPONSES) return send(response, RESPONSES[now]())
    const given = await inner.respond(request, Buffer.concat(chunks).toString())
    if (now === 'slow') await new Promise((resolve) => { setTimeout(resolve, delayMs) })
    if (now === 'truncated') return send(response, { ...given, body: half(given.body) })
    if (now === 'reset') {
      response.writeHead(given.status, { ...given.headers, 'content-length': Buffer.byteLength(given.body) })
      return response.write(half(given.body), () => { response.socket?.resetAndDestroy() })
    }
    const token = given.token && ledger.issue(given.token.value, given.token.credential, given.token.expiresAt)
    // A caller that has left by now does not know the token.
    if (token !== undefined) response.once('finish', () => { if (response.socket?.destroyed !== true) ledger.deliver(token) })
    send(response, given)
  }

  async function close () {
    await new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  }
}

function half (text) {
  return text.slice(0, text.length / 2)
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
    async respond (request, body) {
      const { 'content-type': type, 'x-amz-target': target } = request.headers
      const response = await fetch(emulator.url, { method: 'POST', headers: { 'content-type': type, 'x-amz-target': target }, body })
      const text = await response.text()
      const value = JSON.parse(text).AuthenticationResult?.AccessToken
      const headers = { 'content-type': 'application/x-amz-json-1.1', date: response.headers.get('date') }
      if (value === undefined) return { status: response.status, headers, body: text }
      const { username, exp } = JSON.parse(Buffer.from(value.split('.')[1], 'base64url').toString())
      const token = { value, credential: credentials.get(username), expiresAt: exp * 1000 }
      return { status: response.status, headers, body: text, token }
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
    async respond (request, body) {
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

import { createServer, type IncomingMessage } from 'node:http'
import type { Claims } from './jwt.ts'
import { close, listen, urlOf } from './server.ts'

export interface EchoUpstreamOptions {
  /** The claims of a token that is genuine and alive; undefined for any other. */
  readonly verify: (token: string) => Claims | undefined | Promise<Claims | undefined>
  /** API keys that it knows. */
  readonly apiKeys: ReadonlySet<string>
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
}

/** An API that shows the requests that reached it. */
export interface EchoUpstream {
  readonly url: string
  readonly close: () => Promise<void>
}

const SHOWN_BODY = 2048
const HIDDEN = /^(?:authorization|x-api-key|cookie)$/
const SECRET_PARAMETER = /([?&](?:key|token|secret)=)([^&]*)/gi

/**
 * Starts an API that lets in requests as a protected one does (a genuine token, and a known API key where one is sent) and
 * responds with the request as it arrived, with secrets shortened.
 */
export async function startEchoUpstream (options: EchoUpstreamOptions): Promise<EchoUpstream> {
  const server = createServer((request, response) => {
    respond(request, options).then(({ status, facts }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(facts, null, 2)}\n`)
    }, () => { response.destroy() })
  })
  await listen(server, options.port ?? 0, options.host ?? '127.0.0.1')
  return { url: urlOf(server), close: () => close(server) }
}

async function respond (
  request: IncomingMessage,
  { verify, apiKeys }: EchoUpstreamOptions
): Promise<{ status: number, facts: Record<string, unknown> }> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const arrived = {
    method: request.method,
    path: request.url?.replace(SECRET_PARAMETER, (_, name: string, value: string) => name + shorten(value)),
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, HIDDEN.test(name) ? shorten(String(value)) : value])
    ),
    body: Buffer.concat(chunks).toString('utf8').slice(0, SHOWN_BODY)
  }
  const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? []
  const claims = await verify(token)
  const apiKey = request.headers['x-api-key']
  const queryKey = new URL(request.url ?? '/', 'http://upstream').searchParams.get('key')
  if (claims !== undefined && (apiKey === undefined || apiKeys.has(String(apiKey)))) {
    return { status: 200, facts: { verdict: describeClaims(claims, apiKey !== undefined), arrived } }
  }
  if (queryKey !== null && apiKeys.has(queryKey)) {
    return { status: 200, facts: { verdict: 'let in: the key in the query is known', arrived } }
  }
  return { status: 401, facts: { verdict: 'kept out: no genuine token and no known key came with it', arrived } }
}

function describeClaims (claims: Claims, withKey: boolean): string {
  const left = Math.round(Number(claims['exp']) - Date.now() / 1000)
  const user = String(claims['username'] ?? claims['cognito:username'])
  // A Defender user name is an API key.
  return `let in: a genuine ${String(claims['token_use'])} token of ${user.length > 16 ? shorten(user) : user}, good for ${left} s more${withKey ? ', and a known API key' : ''}`
}

/** Shortens a secret: two can be told apart, none can be used. */
function shorten (secret: string): string {
  const [, scheme = '', value = ''] = /^((?:Bearer|Basic) )?(.*)$/.exec(secret) ?? []
  return value.length <= 12 ? `${scheme}…` : `${scheme}${value.slice(0, 6)}…${value.slice(-4)} (${value.length} characters)`
}

import { refused, type Attack, type Target, type Variant } from './attack.ts'
import { adminRequest, EVIL_HOST, request, WEBSOCKET } from './request.ts'

const ADMIN_PATHS = [
  '/',
  '/startup',
  '/live',
  '/ready',
  '/status',
  '/metrics',
  '/quitquitquit',
  '/reload',
  '/debug/pprof',
  '/nowhere',
  '/%'
]

/** Attacks by programs that reach the proxy and its admin listener without permission. */
export const CALLERS: readonly Attack[] = [
  {
    id: 'B11',
    name: 'the admin listener as a way in',
    advisory: 'cloud-sql-proxy /quitquitquit',
    why: 'A page or a local user who can change or read something there ends the proxy, or learns what to attack next.',
    scope: 'proxy',
    variants: (target) =>
      target.adminPort === undefined
        ? []
        : ADMIN_PATHS.flatMap((path) => [
          ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE'].map((method) => ({
            what: `${method} ${path}`,
            admin: true as const,
            bytes: adminRequest(target, method, path),
            must: refused(405, 'CS_METHOD_NOT_ALLOWED')
          })),
          ...[['Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: same-site'], [`Origin: https://${EVIL_HOST}`], ['Origin: null']].map(
            (lines) => {
              return {
                what: `GET ${path}, ${lines.join()}`,
                admin: true as const,
                bytes: adminRequest(target, 'GET', path, { lines }),
                must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
              }
            }
          ),
          {
            what: `preflight of ${path}`,
            admin: true as const,
            bytes: adminRequest(target, 'OPTIONS', path, {
              lines: [`Origin: https://${EVIL_HOST}`, 'Access-Control-Request-Method: POST']
            }),
            must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
          },
          {
            what: `upgrade of ${path}`,
            admin: true as const,
            bytes: adminRequest(target, 'GET', path, { lines: [...WEBSOCKET, `Origin: https://${EVIL_HOST}`] }),
            must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
          },
          ...[EVIL_HOST, `localhost.${EVIL_HOST}:${target.adminPort ?? 0}`, `localhost:${target.port}`].map((host) => ({
            what: `GET ${path}, Host: ${host}`,
            admin: true as const,
            bytes: adminRequest(target, 'GET', path, { host }),
            must: refused(421, 'CS_HOST_NOT_ALLOWED')
          }))
        ])
  },
  {
    id: 'B12',
    name: 'without the caller token, or with a wrong one',
    advisory: 'hashicorp/vault#7627',
    why: 'Another user or process of the machine spends the credentials; a token that is read generously, or from two places, can be got around.',
    variants: (target) => (target.callerToken === undefined ? [] : wrongTokens(target, target.callerToken))
  }
]

/** Header lines that show no token, a wrong one, or the right one in a wrong way. */
function wrongLines (token: string): ReadonlyArray<readonly string[]> {
  return [
    [],
    ['Proxy-Authorization: Bearer wrong'],
    ['Proxy-Authorization: Bearer'],
    ['Proxy-Authorization: Bearer '],
    ['Proxy-Authorization:'],
    [`Proxy-Authorization: ${token}`],
    [`Proxy-Authorization: Basic ${token}`],
    [`Proxy-Authorization: Basic ${Buffer.from(`x:${token}`).toString('base64')}`],
    [`Proxy-Authorization: Bearer ${token}, Bearer ${token}`],
    [`Proxy-Authorization: Bearer ${token}x`],
    [`Proxy-Authorization: Bearer x${token}`],
    [`Proxy-Authorization: Bearer "${token}"`],
    [`Authorization: Bearer ${token}`],
    ['X-Countersign-Token:'],
    ['X-Countersign-Token: wrong'],
    [`X-Countersign-Token: ${token}x`],
    [`X-Countersign-Token: ${token.slice(0, -1)}`],
    [`X-Countersign-Token: ${token.toUpperCase()}!`],
    [`X-Countersign-Token: Bearer ${token}`],
    [`X-Countersign-Token: ${token}`, `X-Countersign-Token: ${token}`],
    [`X-Countersign-Token: ${token}, ${token}`],
    [`X-Countersign-Token: ${token}`, 'X-Countersign-Token: wrong'],
    [`Proxy-Authorization: Bearer ${token}`, `X-Countersign-Token: ${token}`],
    [`Proxy-Authorization: Bearer ${token}`, 'Proxy-Authorization: Bearer wrong'],
    [`Proxy-Authorization: Bearer ${token}`, 'X-Countersign-Token:'],
    [`X_Countersign_Token: ${token}`],
    [`X-Countersign_Token: ${token}`],
    [`Proxy_Authorization: Bearer ${token}`],
    [`Cookie: X-Countersign-Token=${token}`],
    [`X-Forwarded-Proxy-Authorization: Bearer ${token}`],
    ['X-Countersign-Token: __proto__'],
    ['X-Countersign-Token: [object Object]'],
    ['X-Countersign-Token: undefined'],
    ['X-Countersign-Token: [Redacted]']
  ]
}

function wrongTokens (target: Target, token: string): Variant[] {
  return wrongLines(token)
    .flatMap((lines) => [
      {
        what: lines.length === 0 ? 'none' : lines.join(', ').replaceAll(token, 'TOKEN'),
        bytes: request(target, { token: false, lines }),
        must: refused(401, 'CS_CALLER_TOKEN')
      },
      {
        what: `upgrade, ${lines.length === 0 ? 'none' : lines.join(', ').replaceAll(token, 'TOKEN')}`,
        bytes: request(target, { method: 'GET', token: false, lines: [...WEBSOCKET, ...lines] }),
        must: refused(401, 'CS_CALLER_TOKEN')
      }
    ])
    .concat([
      {
        what: 'in the query',
        bytes: request(target, { token: false, path: `${target.plain.path}?x-countersign-token=${token}&token=${token}` }),
        must: refused(401, 'CS_CALLER_TOKEN')
      },
      {
        what: 'a preflight of nobody',
        bytes: request(target, { method: 'OPTIONS', token: false, lines: ['Access-Control-Request-Method: POST'] }),
        must: refused(401, 'CS_CALLER_TOKEN')
      }
    ])
}

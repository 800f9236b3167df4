import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { parseAllow } from '#src/auth/allow.ts'
import type { Target } from '#src/attack/attack.ts'
import { CORPUS } from '#src/attack/corpus.ts'
import { startRecorder, type Recorder } from '#src/attack/recorder.ts'
import { createReport, formatReport } from '#src/attack/report.ts'
import { runAttacks } from '#src/attack/runner.ts'

const CANARY = 'CANARYTOKEN4711'

t.test('a proxy that guards nothing fails every group of attacks', async (t) => {
  const target = await startTarget(t, (message, response, recorder) => {
    const headers = message.rawHeaders.flatMap((name, index) =>
      index % 2 === 0 && !/^(?:connection|host|upgrade)$/i.test(name) ? [name, message.rawHeaders[index + 1] ?? ''] : []
    )
    pass(message, response, {
      port: recorder.port,
      path: `/base${(message.url ?? '').replace('/api', '')}`,
      headers: [...headers, 'Host', `127.0.0.1:${recorder.port}`, 'Authorization', `Bearer ${CANARY}`, 'x-key', CANARY]
    })
  })
  const results = await runAttacks({ targets: [target], attacks: Object.values(CORPUS).flat(), deadlineMs: 2000 })
  const report = createReport(results, [target], CORPUS)
  const failed = new Set(report.failures.map(({ id }) => id))
  for (const id of [
    'B1',
    'B2',
    'B3',
    'B4',
    'B5',
    'B6',
    'B7',
    'B8',
    'B9',
    'B12',
    'H1',
    'H2',
    'H3',
    'H4',
    'H6',
    'Q1',
    'P1',
    'P2',
    'P3',
    'P4',
    'P5',
    'P6',
    'P7',
    'P8',
    'P10',
    'P12',
    'V1',
    'V2',
    'S1'
  ]) { t.ok(failed.has(id), id) }
  t.ok(report.counts.every(({ gotThrough }) => gotThrough > 0), 'every group')
  const text = formatReport(report)
  t.match(text, /GOT THROUGH B1 on \/api: a rebound DNS name as Host \(CVE-2025-66414/)
  t.match(text, /sent {5}GET \/api\/plain HTTP\/1\.1\\r\\nHost: attacker4711\.example/)
  t.match(text, /came {5}200 ok/)
  t.match(text, /wanted {3}421 CS_HOST_NOT_ALLOWED, and nothing at the upstream/)
  t.match(text, new RegExp(`${results.length} attempts on 1 route: ${report.failures.length} got through\n$`))
  t.notMatch(text, CANARY, 'canaries are masked')
  // eslint-disable-next-line no-control-regex -- what a terminal would act on
  t.notMatch(text, /[\0-\x09\x0b-\x1f\x7f-\x9f]/)
})

t.test('a proxy that refuses everything fails as well', async (t) => {
  const target = await startTarget(t, (_message, response) => { response.writeHead(421, OWN).end() })
  const [attack] = CORPUS['browser'] ?? []
  const results = await runAttacks({ targets: [target], attacks: attack === undefined ? [] : [attack], deadlineMs: 2000 })
  t.ok(results.length > 0)
  t.match(results.at(-1)?.problems, ['afterwards a plain request is not served any more'])
})

t.test('a proxy that is not there, or never answers, fails within the deadline', async (t) => {
  const dead = await startTarget(t, () => {})
  for (const target of [dead, { ...dead, port: 1 }]) {
    const variant = { what: 'one', bytes: 'GET / HTTP/1.1\r\nHost: evil\r\n\r\n', must: { refused: { statuses: [421] } } }
    const [result] = await runAttacks({
      targets: [target],
      attacks: [{ id: 'X1', name: 'x', why: 'x', variants: () => [variant] }],
      deadlineMs: 200
    })
    t.match(result?.problems, [target === dead ? /neither answered nor closed in time/ : /closed without a response/])
    t.match(result?.problems.at(-1), /afterwards a plain request is not served/)
  }
})

t.test('single faults are found: a second value, a lost credential, a leak, a route too far', async (t) => {
  const problemsOf = async (
    path: string,
    headers: readonly string[],
    answer: Readonly<Record<string, string>> = {}
  ): Promise<readonly string[]> => {
    const target = await startTarget(t, (message, response, recorder) => {
      pass(message, response, { port: recorder.port, path, headers: ['Host', `127.0.0.1:${recorder.port}`, ...headers] }, answer)
    })
    const plain = { what: 'plain', bytes: 'GET /api/plain HTTP/1.1\r\nHost: x\r\n\r\n', must: { passed: {} } }
    const [result] = await runAttacks({
      targets: [
        {
          ...target,
          injected: [
            { in: 'header', name: 'X-Key', value: CANARY, inBody: false },
            { in: 'cookie', name: 'sid', value: CANARY, inBody: false },
            { in: 'query', name: 'key', value: CANARY, inBody: true }
          ]
        }
      ],
      attacks: [{ id: 'X1', name: 'x', why: 'x', variants: () => [plain] }],
      deadlineMs: 2000
    })
    return (result?.problems ?? []).filter((problem) => !problem.startsWith('afterwards'))
  }
  const good = ['X-Key', CANARY, 'Cookie', `a=1; sid=${CANARY}`]
  const query = `?key=${CANARY}`
  t.same(await problemsOf(`/base/x${query}`, good), [])
  const bad: ReadonlyArray<readonly [path: string, headers: readonly string[], fault: RegExp, answer?: Readonly<Record<string, string>>]> =
    [
      [`/base/x${query}`, good.slice(2), /0 times header X-Key/],
      [`/base/x${query}`, [...good, 'x_key', 'evil'], /2 times header X-Key/],
      [`/base/x${query}`, ['X-Key', 'evil', ...good.slice(2)], /X-Key that is not ours/],
      [`/base/x${query}`, [...good.slice(0, 2), 'Cookie', `sid=evil; sid=${CANARY}`], /2 times cookie sid/],
      [`/base/x${query}&k%65y=evil`, good, /2 times query key/],
      [`/base/x${query};key=evil`, good, /2 times query key/],
      ['/base/x', good, /0 times query key/],
      [`/base/x${query}`, [...good, 'Authorization', 'Bearer evil'], /client's Authorization/],
      [`/base/x${query}`, [...good, 'X-Forwarded-For', '1'], /header X-Forwarded-For/],
      [`/base/x${query}`, [...good, 'Host', 'evil'], /Host that is not its own/],
      [`/other${query}`, good, /leaves its base path/],
      [`/base/%2e%2e/x${query}`, good, /leaves its base path/],
      [`/base/x${query}`, good, /CORS headers/, { 'Access-Control-Allow-Origin': '*' }],
      [`/base/x${query}`, good, /holds a secret/, { 'X-Echo': CANARY }],
      [`/base/x${query}`, good, /lacks X-Content-Type-Options/, { 'Proxy-Status': 'countersign; error=x' }]
    ]
  for (const [path, headers, problem, response] of bad) t.match((await problemsOf(path, headers, response)).join('; '), problem)
})

const OWN = {
  'Proxy-Status': 'countersign; error=x',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Length': '0'
}

type Naive = (message: IncomingMessage, response: ServerResponse, recorder: Recorder) => void

/** A proxy that is none of ours, as a target. */
async function startTarget (t: Test, handle: Naive): Promise<Target> {
  const recorder = await startRecorder()
  const server: Server = createServer({ requireHostHeader: false }, (message, response) => { handle(message, response, recorder) })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => { server.close(resolve) })
    await recorder.close()
  })
  return {
    label: '/api',
    port: (server.address() as AddressInfo).port, // a TCP server that listens
    prefix: '/api',
    basePath: '/base',
    plain: { method: 'GET', path: '/plain' },
    lines: [],
    callerToken: 'CANARYCALLER4711',
    injected: [
      { in: 'header', name: 'Authorization', value: `Bearer ${CANARY}`, inBody: false },
      { in: 'query', name: 'key', value: CANARY, inBody: false }
    ],
    allow: ['GET /plain'].flatMap((text) => parseAllow(text) ?? []),
    websocket: false,
    allowedHosts: [],
    allowedOrigins: [],
    upstream: recorder,
    canaries: [CANARY, 'CANARYCALLER4711']
  }
}

/** Forwards a request as it is told to. @param given the headers of the response; the upstream's where there are none */
function pass (
  message: IncomingMessage,
  response: ServerResponse,
  { port, path, headers }: { readonly port: number, readonly path: string, readonly headers: readonly string[] },
  given?: Readonly<Record<string, string>>
): void {
  try {
    const outgoing = forward(
      { host: '127.0.0.1', port, method: message.method, path, headers: headers as string[], agent: false },
      (incoming) => {
        response.writeHead(incoming.statusCode ?? 500, given ?? incoming.headers)
        incoming.pipe(response)
      }
    )
    outgoing.on('error', () => {
      response.destroy()
    })
    message.pipe(outgoing)
  } catch {
    response.writeHead(500).end()
  }
}

import type { IncomingHttpHeaders } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { Config } from '../config/config.ts'
import { formatAddress, parseAddress, type Address } from '../http/address.ts'
import { checkBrowser, checkHost, guardedHeaders } from '../http/host.ts'
import { connectionListed, foldName, isDroppedFromRequest } from '../http/headers.ts'
import { printable } from '../http/printable.ts'
import { createNameTest } from '../http/alike.ts'
import { cookieNames, createCookieTest } from '../http/cookie.ts'
import { namesOf, pairs, valuesOf } from '../http/raw-headers.ts'
import { isNavigation } from '../http/browser.ts'
import { announcedLength, isSwitch } from '../http/incoming.ts'
import { judgeMethod, judgeRequest } from '../http/request-line.ts'
import { checkForm, parseTarget } from '../http/target.ts'
import { checkFraming } from '../guard/framing.ts'
import { checkSpliceable, judgeLength, takesBodyFields } from '../route/body.ts'
import { Secret } from '../secret.ts'
import { readRelayed } from '../route/relayed.ts'
import { judgeAllowed, judgeServiceWorker, judgeUpgrade } from '../route/judge.ts'
import { compileRoute, injectionsOf, upstreamTarget, type Route } from '../route/route.ts'
import { findRoute, ownTable, sharedTable, type RouteTable } from '../route/table.ts'
import { CONFIG_OPTIONS, EXIT, stringOption, type Command, type CommandContext } from './command.ts'
import { load, printProblems } from './load.ts'

export const explain: Command = {
  name: 'explain',
  usage: 'METHOD PATH [-H \'Name: value\']… [options]',
  summary: 'which route and credential a request gets, what is removed and added, or why it is refused',
  options: {
    ...CONFIG_OPTIONS,
    header: { type: 'string', short: 'H', multiple: true, value: 'NAME: VALUE', help: 'a header of the request; as often as wanted' },
    listen: { type: 'string', value: 'ADDR', help: 'the request comes in on this listener of a route (default: the proxy\'s own)' }
  },
  positionals: { min: 2, max: 2 },
  run
}

async function run (context: CommandContext): Promise<number> {
  // Here --listen chooses among the addresses of the configuration, and overrides none.
  const loaded = await load({ ...context, options: { ...context.options, listen: undefined } })
  if (!loaded.ok) {
    printProblems(context, loaded.problems)
    return EXIT.config
  }
  const [method = '', target = ''] = context.positionals
  const headers = readHeaders(context.options['header'])
  if (headers === undefined) {
    context.stderr.write('-H wants a header: -H \'Name: value\'\n')
    return EXIT.usage
  }
  const given = stringOption(context, 'listen')
  const entry = given === undefined ? mainEntry(loaded.config) : entryAt(loaded.config, given)
  if (entry === undefined) {
    context.stderr.write('--listen names no listener of the configuration; write an ADDR as it stands there\n')
    return EXIT.usage
  }
  try {
    context.stdout.write(describe(loaded.config, entry, method, target, headers))
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    context.stdout.write(`refused  ${error.statusCode} ${error.code}  ${error.message}\n`)
    return EXIT.failed
  }
}

/** Describes in lines of text how a request would be forwarded. @throws ProxyError where it would be refused */
function describe (config: Config, entry: Entry, method: string, raw: string, headers: readonly string[]): string {
  // The order of the listener: its parser, its guards, its routes.
  judgeMethod(method)
  checkFraming({ rawHeaders: [...headers], httpVersion: '1.1' })
  checkForm(raw)
  guard(config, entry.address, headers)
  judgeRequest(method, raw)
  const { path, query } = parseTarget(raw)
  const found = findRoute(entry.table, path)
  if (found === undefined) throw new ProxyError('CS_NO_ROUTE')
  const { route, rest } = found
  const misrouted = judgeServiceWorker(route, headers)
  if (misrouted !== undefined) throw misrouted
  judgeAllowed(route, method, rest)
  judgeRest(route, method, headers)
  const removed = [...removedHeaders(route, headers), ...removedFields(route, headers, query)]
  const relayed = readRelayed(route, headers)
  const added = injectionsOf(
    route,
    () => MASK,
    (kind) => relayed.get(kind) ?? MASK
  ).map(({ in: place, name, prefix, value, postQuery }) => {
    if (place === 'header') return `header ${name}: ${prefix}${value.toString()}`
    return `${place === 'query' && method === 'POST' && postQuery === undefined ? 'body field' : place} ${name}=${value.toString()}`
  })
  return [
    ['route', route.label],
    ['credential', route.injectedCredentials.join(', ') || 'none'],
    ['forwarded', `${method} ${route.upstreamOrigin}${upstreamTarget(route, rest, query === '' ? '' : '?…')}`],
    ['removed', removed.length === 0 ? 'nothing that was sent' : removed.join(', ')],
    ...(added.length === 0 ? [['added', 'nothing']] : added.map((line, index) => [index === 0 ? 'added' : '', line])),
    ...(route.scrub ? [['answer', 'asked for without compression and whole; credentials in it are masked']] : []),
    ...(route.sharesOrigin && isNavigation(headers)
      ? [['answer', 'a page of its own origin (Content-Security-Policy: sandbox), since other routes share the listener']]
      : []),
    ...(config.callerToken === undefined ? [] : [['caller', 'must show the caller token']])
  ]
    .map(([label = '', text = '']) => `${label.padEnd(12)}${printable(text)}\n`)
    .join('')
}

/** The listener that a request comes in on, and the routes that it has. */
interface Entry {
  readonly address: Address
  readonly table: RouteTable
}

function entryAt (config: Config, text: string): Entry | undefined {
  const wanted = parseAddress(text)
  if (wanted === undefined) return undefined
  const same = (address: Address | undefined): boolean => address !== undefined && formatAddress(address) === formatAddress(wanted)
  const own = routesOf(config).find(({ listen }) => same(listen))
  if (own !== undefined) return { address: wanted, table: ownTable(own) }
  return same(config.listen) ? mainEntry(config) : undefined
}

function mainEntry (config: Config): Entry {
  return { address: config.listen, table: sharedTable(routesOf(config)) }
}

function routesOf ({ routes }: Config): Route[] {
  return routes.map(compileRoute)
}

const MASK = new Secret('')

// The caller token is left out: it is a secret, and argv is no place for one.
function guard (config: Config, listen: Address, headers: readonly string[]): void {
  const policy = { allowedHosts: new Set(config.allowedHosts), allowedOrigins: new Set(config.allowedOrigins) }
  const guarded = guardedHeaders(headers)
  const local = listen.type === 'unix' ? { unix: true, address: '', port: 0 } : { unix: false, address: listen.host, port: listen.port }
  const host = checkHost(guarded.host.length > 0 ? guarded : { ...guarded, host: [`localhost:${local.port}`] }, local, policy)
  checkBrowser(guarded, host, policy)
}

function removedHeaders (route: Route, headers: readonly string[]): string[] {
  const listed = connectionListed(headers)
  return namesOf(headers).filter((name) => {
    const folded = foldName(name)
    return isDroppedFromRequest(folded) || route.ownedHeaders.has(folded) || listed?.has(folded) === true
  })
}

/** Applies the refusals of the route itself, before anything is sent. Of the body only the announcing headers are known. */
function judgeRest (route: Route, method: string, rawHeaders: readonly string[]): void {
  const headers: IncomingHttpHeaders = {}
  for (const [name, value] of pairs(rawHeaders)) headers[name.toLowerCase()] ??= value
  if (isSwitch({ method, httpVersion: '1.1', headers })) judgeUpgrade(route, method)
  judgeLength(announcedLength({ headers }) ?? 0, route.maxBodyBytes)
  if (takesBodyFields(route, method)) {
    checkSpliceable(rawHeaders, headers['content-length'] === undefined ? undefined : announcedLength({ headers }))
  }
}

/** Names of query parameters and cookies that give way to ours. */
function removedFields (route: Route, headers: readonly string[], query: string): string[] {
  const names = (place: 'query' | 'cookie'): string[] =>
    route.bindings.flatMap(({ scheme }) => (scheme.type !== 'http' && scheme.in === place ? [scheme.name] : []))
  const [isParameter, isCookie] = [createNameTest(names('query')), createCookieTest(names('cookie'))]
  const parameters = query.slice(1).split(/[&;]/).map((part) => part.split('=', 1)[0] ?? '').filter(isParameter)
  const cookies = cookieNames(valuesOf(headers, 'cookie').join('; '))
  return [...parameters.map((name) => `query ${name}`), ...cookies.filter(isCookie).map((name) => `cookie ${name}`)]
}

function readHeaders (given: CommandContext['options'][string]): string[] | undefined {
  const list: string[] = []
  for (const text of Array.isArray(given) ? given : []) {
    const match = /^([!#$%&'*+\-.^_`|~\w]+):(.*)$/.exec(String(text))
    if (match === null) return undefined
    list.push(match[1] ?? '', match[2]?.trim() ?? '')
  }
  return list
}

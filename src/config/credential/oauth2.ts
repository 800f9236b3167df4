import { Secret } from '../../secret.ts'
import { readBaseUrl, type BaseUrlResult } from '../route/base-url.ts'
import { problemOfEncodable, oddities } from '../checks.ts'
import type { OAuth2Credential } from '../config.ts'
import type { Path, Reporter } from '../problem.ts'
import type { OAuth2Shape } from './schema.ts'

/** Checks the configuration of an OAuth 2.0 client and makes a credential of it. */
export function resolveOAuth2 (shape: OAuth2Shape, path: Path, reporter: Reporter): OAuth2Credential {
  const tokenUrl = readTokenUrl(shape.tokenUrl, shape.allowInsecureEndpoint)
  if (!tokenUrl.ok) reporter.error([...path, 'tokenUrl'], tokenUrl.problem)
  for (const key of ['clientId', 'clientSecret'] as const) checkText(shape[key], [...path, key], reporter)
  const scope = readList(shape.scope, [...path, 'scope'], reporter)
  const audience = readList(shape.audience, [...path, 'audience'], reporter)
  const resource = readList(shape.resource, [...path, 'resource'], reporter, (text) =>
    text.includes('#') ? 'holds a fragment, which no resource has (RFC 8707 section 2); remove it' : undefined
  )
  for (const [name, value] of Object.entries(shape.extra)) {
    const extraPath = [...path, 'extra', name]
    if (name === '' || problemOfEncodable(name) !== undefined) reporter.error(extraPath, 'is no name of a form field; correct it', 'key')
    else if (OWN_FIELDS.has(name)) {
      reporter.error(
        extraPath,
        "is a field that this program writes itself; remove it, and use the credential's own key where it has one",
        'key'
      )
    }
    // RFC 6749 section 3.2: a parameter without a value is treated as if it were left out.
    if (value.trim() === '') reporter.error(extraPath, 'is empty; write its value, or remove it')
    else checkText(value, extraPath, reporter)
  }
  return {
    type: 'oauth2',
    tokenUrl: tokenUrl.ok ? tokenUrl.url : '',
    clientId: shape.clientId,
    clientSecret: new Secret(shape.clientSecret),
    ...(scope !== undefined && { scope: scope.join(' ') }),
    ...(audience !== undefined && { audience }),
    ...(resource !== undefined && { resource }),
    clientAuth: shape.clientAuth,
    extra: new Map(Object.entries(shape.extra).map(([name, value]) => [name, new Secret(value)])),
    tokenType: shape.tokenType,
    ...(shape.lifetimeSeconds !== undefined && { lifetimeSeconds: shape.lifetimeSeconds })
  }
}

// RFC 6749 sections 2.3.1 and 4.4.2, RFC 7521 section 4.2, RFC 8707 section 2; audience is no standard's and has a key of its own.
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'grant_type',
  'client_id',
  'client_secret',
  'scope',
  'audience',
  'resource',
  'client_assertion',
  'client_assertion_type'
])

// RFC 6749 section 3.2: the endpoint may carry a query, which is kept, and no fragment.
function readTokenUrl (text: string, allowInsecure: boolean): BaseUrlResult {
  const mark = text.indexOf('?')
  const base = mark === -1 ? text : text.slice(0, mark)
  const query = mark === -1 ? '' : text.slice(mark)
  const result = readBaseUrl(base, allowInsecure, 'allowInsecureEndpoint')
  if (!result.ok) return result
  if (query.includes('#')) return { ok: false, problem: 'holds a fragment; remove it' }
  if (!/^(?:[\w.~!$&()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/.test(query)) {
    return { ok: false, problem: 'has a query with characters that URLs encode; percent-encode them (RFC 3986 section 3.4)' }
  }
  return { ok: true, url: result.url + (base.endsWith('/') ? '/' : '') + query }
}

/** A value that may be one text or several. */
function readList (
  value: string | readonly string[] | undefined,
  path: Path,
  reporter: Reporter,
  problemOf: (text: string) => string | undefined = () => undefined
): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (value.length === 0 && typeof value !== 'string') reporter.error(path, 'is an empty list; add to it, or leave it out')
  const items = typeof value === 'string' ? [{ text: value, at: path }] : value.map((text, index) => ({ text, at: [...path, index] }))
  for (const { text, at } of items) {
    // Empty text that is no item is reported with the other fields.
    if (text.trim() === '' && typeof value !== 'string') reporter.error(at, 'is empty; write its value, or remove it')
    else checkText(text, at, reporter)
    const problem = problemOf(text)
    if (problem !== undefined) reporter.error(at, problem)
  }
  return items.map(({ text }) => text)
}

// RFC 6749 appendix A: none of these values holds control characters; the line break at the end of a secret is the usual one.
function checkText (text: string | undefined, path: Path, reporter: Reporter): void {
  if (text === undefined) return
  // eslint-disable-next-line no-control-regex -- the very thing to find
  const control = /[\0-\x1f\x7f]/.test(text) ? 'holds a line break or another control character; remove it' : undefined
  const problems = [control, problemOfEncodable(text)].filter((problem) => problem !== undefined)
  for (const problem of problems) reporter.error(path, problem)
  // A client secret has a stricter rule (credentials.ts).
  if (problems.length === 0 && path.at(-1) !== 'clientSecret') for (const oddity of oddities(text)) reporter.warning(path, oddity)
}

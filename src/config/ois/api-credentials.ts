import type { Scheme, ValueSource } from '../../auth/scheme.ts'
import { Secret } from '../../secret.ts'
import { findCredential } from '../route/bindings.ts'
import { oddities } from '../checks.ts'
import type { Context } from '../context.ts'
import type { ResolvedCredential } from '../credential/credentials.ts'
import { ApiCredentialSchema, type ApiCredentialShape } from './schema.ts'
import { formatPath, quote, type Path, type Reporter } from '../problem.ts'
import { readPart, valueAt } from '../shape.ts'
import { problemOfValue, nameScheme } from '../route/targets.ts'

/** A scheme that is turned on and needs its value. */
interface SchemeInNeed {
  readonly title: string
  readonly shownTitle: string
  readonly name: string
  readonly scheme: Scheme
  /** Where it is turned on. */
  readonly onPath: Path
}

/** The use that an OIS makes of a scheme that it defines; `unknown` where the definition has errors. */
export type SchemeState = 'on' | 'off' | 'relay' | 'unknown'

/**
 * The values of `apiCredentials`, each bound to one scheme of one OIS and to no other (api3dao/signed-api gives one API's key to another's
 * host).
 */
export interface ApiCredentials {
  /** Whether there is an entry, sound or not, for a scheme. */
  has (title: string, name: string): boolean
  /** Where a scheme's value comes from; undefined, and reported, where it comes from nowhere. */
  valueOf (need: SchemeInNeed): ValueSource | undefined
  /** Warns of entries for no OIS, or for a scheme that takes no value of `apiCredentials`. */
  warnOfUnused (known: KnownSchemes): void
}

/** The schemes by title and name; undefined for the title of an OIS that could not be read. */
type KnownSchemes = ReadonlyMap<string, ReadonlyMap<string, SchemeState> | undefined>

interface Entry {
  readonly path: Path
  readonly title: string
  readonly name: string
  /** Undefined for an entry with errors. */
  readonly source: Source | undefined
}

type Source =
  | { readonly type: 'value', readonly value: string }
  | { readonly type: 'credential', readonly name: string, readonly credential: ResolvedCredential | undefined }

/** Reads `apiCredentials` and reports the problems of its entries by themselves. */
export function readApiCredentials (context: Context): ApiCredentials {
  const { document, reporter, credentials } = context
  const parts = valueAt(document.value, ['apiCredentials'])
  const entries: Entry[] = []
  // An entry whose title or name cannot be read might be for any scheme, so nothing is missing for sure.
  let complete = parts === undefined || Array.isArray(parts)
  for (const [index, part] of Array.isArray(parts) ? (parts as unknown[]).entries() : []) {
    const path: Path = ['apiCredentials', index]
    const title = valueAt(part, ['oisTitle'])
    const name = valueAt(part, ['securitySchemeName'])
    const isBroken = ['oisTitle', 'securitySchemeName'].some((key) => document.broken.has(formatPath([...path, key])))
    if (typeof title !== 'string' || typeof name !== 'string' || isBroken) {
      complete = false
      continue
    }
    const first = find(title, name)
    if (first !== undefined) reporter.error(path, `is for the same scheme of the same OIS as ${formatPath(first.path)}; keep one of them`)
    else entries.push({ path, title, name, source: readSource(readPart(ApiCredentialSchema, part), path, context) })
  }
  return {
    has: (title, name) => find(title, name) !== undefined,
    valueOf,
    warnOfUnused: (known) => { warnOfUnused(entries, known, reporter) }
  }

  function find (title: string, name: string): Entry | undefined {
    return entries.find((entry) => entry.title === title && entry.name === name)
  }

  function valueOf (need: SchemeInNeed): ValueSource | undefined {
    const entry = find(need.title, need.name)
    if (entry === undefined) {
      if (complete) {
        reporter.error(
          need.onPath,
          `is turned on and has no value; add { "oisTitle": ${quote(need.shownTitle, 64)}, "securitySchemeName": ${quote(need.name)}, "securitySchemeValue": "\${NAME}" } to apiCredentials`,
          'key'
        )
      }
      return undefined
    }
    const { source } = entry
    if (source?.type === 'value') {
      return { type: 'fixed', credential: labelOf(need), value: new Secret(checkValue(source.value, entry.path, need, context)) }
    }
    if (source === undefined) return undefined
    if (credentials.byName.has(source.name)) credentials.used.add(source.name)
    if (source.credential === undefined) return undefined
    checkCredential(source.name, source.credential, entry.path, need, context)
    return { type: 'token', credential: source.name }
  }
}

function warnOfUnused (entries: readonly Entry[], known: KnownSchemes, reporter: Reporter): void {
  for (const { path, title, name } of entries) {
    const schemes = known.get(title)
    if (!known.has(title)) {
      reporter.warning([...path, 'oisTitle'], 'is the title of no OIS, so this is not used; correct it, or remove the entry')
    }
    if (schemes === undefined) continue
    const state = schemes.get(name)
    if (state === undefined) {
      reporter.warning([...path, 'securitySchemeName'], 'is no scheme of its OIS, so this is not used; correct it, or remove the entry')
    }
    if (state === 'off') {
      reporter.warning(
        [...path, 'securitySchemeName'],
        'is a scheme that security does not turn on, so this is not used; turn it on, or remove the entry'
      )
    }
    if (state === 'relay') {
      reporter.warning(
        [...path, 'securitySchemeName'],
        'is a relay scheme, whose value the relay of a route says, so this is not used; remove the entry'
      )
    }
  }
}

function readSource (shape: ApiCredentialShape | undefined, path: Path, { credentials, reporter }: Context): Source | undefined {
  if (shape === undefined) return undefined
  const { securitySchemeValue: value, credential: name } = shape
  const valuePath = [...path, 'securitySchemeValue']
  if (value === undefined && name === undefined) {
    reporter.error(valuePath, 'is missing; add it, or "credential" with a name from credentials')
    return undefined
  }
  if (name !== undefined) {
    if (value !== undefined) reporter.error([...path, 'credential'], 'stands beside securitySchemeValue; keep one of the two')
    if (!credentials.byName.has(name)) findCredential(name, [...path, 'credential'], credentials, reporter)
    return { type: 'credential', name, credential: credentials.byName.get(name) }
  }
  if (value === undefined) return undefined
  // eslint-disable-next-line no-template-curly-in-string -- the very thing to write
  if (value.trim() === '') reporter.error(valuePath, 'is empty; write its value, or a ${NAME} that stands for it')
  return value.trim() === '' ? undefined : { type: 'value', value }
}

/** Reports a value that the scheme cannot send. @returns the value as it is sent */
function checkValue (value: string, path: Path, { scheme, onPath }: SchemeInNeed, { reporter }: Context): string {
  const valuePath = [...path, 'securitySchemeValue']
  const inHeader = scheme.type === 'http' || scheme.in === 'header'
  const bare = inHeader ? value.replace(/^[\t ]+|[\t ]+$/g, '') : value
  // RFC 9110 section 5.5: blanks around a field's value are no part of it. An Airnode sends them, and its API never sees them.
  if (bare !== value) {
    reporter.warning(valuePath, "begins or ends with a blank, which is no part of a header's value, so it is sent without; remove it")
  }
  const problem = problemOfValue(scheme, bare, BASIC_REMEDY)
  if (problem !== undefined) reporter.error(valuePath, `${problem} (${formatPath(onPath)} sends it as ${nameScheme(scheme)})`)
  // A shell's $(cat FILE) or a text editor leaves these behind: no error where they can be sent.
  else for (const oddity of oddities(bare)) reporter.warning(valuePath, oddity)
  return bare
}

const BASIC_REMEDY =
  'write the base64, or in place of the value "credential" with the name of a static credential that has username and password'

function checkCredential (
  name: string,
  { sends, fields }: ResolvedCredential,
  path: Path,
  { scheme, onPath }: SchemeInNeed,
  { reporter }: Context
): void {
  const basic = scheme.type === 'http' && scheme.scheme === 'basic'
  const at = [...path, 'credential']
  if (sends === 'token' && basic) {
    reporter.error(
      at,
      `is a token, and ${formatPath(onPath)} sends Basic authentication; name a static credential, or define the scheme as bearer`
    )
  }
  if (sends === 'basic' && !basic) {
    reporter.error(at, `has username and password, and ${formatPath(onPath)} sends one value; name a credential with a token or a value`)
  }
  if (sends !== 'value') return
  const problem = problemOfValue(scheme, fields.get('value') ?? '')
  if (problem !== undefined) {
    reporter.error(['credentials', name, 'value'], `${problem} (${formatPath(onPath)} sends it as ${nameScheme(scheme)})`)
  }
}

/** Names a value in metrics and `explain`. A scheme's name may be any text. */
function labelOf ({ shownTitle, name }: SchemeInNeed): string {
  return `${shownTitle}/${name.replace(/[^\x20-\x7e]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)}`
}

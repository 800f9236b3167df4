import { Secret } from '../secret.ts'
import type { CredentialConfig, CustomCredential, Problem } from './config.ts'
import { resolveCredential } from './credential/credentials.ts'
import { createReporter, formatPath, quote, type Path, type Place, type Reporter } from './problem.ts'
import { fill, type ConfigDocument } from './read/document.ts'
import type { SecretLookup } from './read/secrets.ts'
import { CredentialSchema } from './credential/schema.ts'
import { checkPart, isObject, readPart } from './shape.ts'

/** As deep as a file may be (jsonc.ts). */
const DEEPEST = 64

const CONFIGURATION = 'configuration'

/**
 * Reads a configuration object: the shape of the file, in values of a program. `${NAME}` in a string is replaced as in the
 * file; a `Secret` stands for its text and is taken as it is. A key whose value is undefined is not there. A credential may be
 * `{ type: 'custom', source }`, with a function `token` in its source.
 *
 * @returns the document, and what of it can be in no file
 */
export function readObject (
  object: unknown,
  secrets: Pick<SecretLookup, 'find'>
): { readonly document: ConfigDocument, readonly problems: readonly Problem[] } {
  const reporter = createReporter(placeOf(CONFIGURATION, 0), new Set())
  const given = new Map<string, string>()
  const value = copyPlain(object, [], reporter, (secret) => {
    const name = `SECRET_OF_THE_PROGRAM_${given.size + 1}`
    given.set(name, secret.reveal())
    return `\${${name}}`
  })
  const custom = takeCustom(value, reporter)
  const find: SecretLookup['find'] = (name) => {
    const text = given.get(name)
    return text === undefined ? secrets.find(name) : { ok: true, value: text }
  }
  const { document, problems } = fill({ value, locate: () => ({}) }, CONFIGURATION, { find })
  return { document: { ...document, custom }, problems: [...reporter.problems, ...problems] }
}

/**
 * Reads the options of one credential, as the file has them but for `${NAME}`: strings are taken as they are, and a `Secret`
 * stands for its text.
 *
 * @returns the credential; absent where a problem is an error
 */
export function readCredentialObject (
  object: unknown
): { readonly credential?: CredentialConfig, readonly problems: readonly Problem[] } {
  // Where it would stand in a file, so that what is said about its keys is the same.
  const path = ['credentials', 'credential']
  const reporter = createReporter(placeOf('credential', path.length), new Set())
  const value = copyPlain(object, path, reporter, (secret) => secret.reveal())
  const credential = isObject(value) && value['type'] === 'custom'
    ? readCustom(value, path, reporter)
    : readUsual(value, path, reporter)
  const failed = reporter.problems.some(({ severity }) => severity === 'error')
  return failed || credential === undefined ? { problems: reporter.problems } : { credential, problems: reporter.problems }
}

function readUsual (value: unknown, path: Path, reporter: Reporter): CredentialConfig | undefined {
  checkPart(CredentialSchema, value, path, reporter)
  const shape = readPart(CredentialSchema, value)
  return shape === undefined ? undefined : resolveCredential(shape, path, reporter)?.config
}

function placeOf (source: string, hidden: number): (path: Path) => Place {
  return (path) => path.length <= hidden ? { source } : { source, path: formatPath(path.slice(hidden)) }
}

/** Copies lists and plain objects; what is neither, such as a source, stays what it is, and is judged by its shape. */
function copyPlain (
  node: unknown,
  path: Path,
  reporter: Reporter,
  open: (secret: Secret) => string,
  around: ReadonlySet<unknown> = new Set()
): unknown {
  if (node instanceof Secret) return open(node)
  if (typeof node !== 'object' || node === null) return node
  // At the first meeting: an object that holds itself twice would be walked 2^64 times to the bottom.
  if (path.length > DEEPEST || around.has(node)) {
    reporter.error(path.slice(0, 1), `nested deeper than ${DEEPEST} levels, or in itself; flatten it`)
    return null
  }
  const within = new Set(around).add(node)
  if (Array.isArray(node)) return node.map((item, index) => copyPlain(item, [...path, index], reporter, open, within))
  const isSource = path.at(-1) === 'source' && path.at(-3) === 'credentials'
  if (isSource || !isPlain(node)) return node
  const copy = Object.create(null) as Record<string, unknown>
  for (const [key, item] of Object.entries(node)) {
    if (item !== undefined) copy[key] = copyPlain(item, [...path, key], reporter, open, within)
  }
  return copy
}

function isPlain (node: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(node)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** Takes the credentials of the program's own out of a copy: no shape of a file has them. */
function takeCustom (value: unknown, reporter: Reporter): Map<string, CustomCredential | undefined> {
  const custom = new Map<string, CustomCredential | undefined>()
  const credentials = isObject(value) ? value['credentials'] : undefined
  for (const [name, part] of isObject(credentials) ? Object.entries(credentials) : []) {
    if (!isObject(part) || part['type'] !== 'custom') continue
    custom.set(name, readCustom(part, ['credentials', name], reporter))
    Reflect.deleteProperty(credentials as object, name)
  }
  return custom
}

function readCustom (part: Readonly<Record<string, unknown>>, path: Path, reporter: Reporter): CustomCredential | undefined {
  for (const key of Object.keys(part)) {
    if (key !== 'type' && key !== 'source') {
      reporter.error([...path, key], `unknown key; remove it, or write one of ${quote('type')}, ${quote('source')}`, 'key')
    }
  }
  const { source } = part
  if (isObject(source) && typeof source['token'] === 'function') {
    const token = source['token'] as CustomCredential['token'] // what it gives is checked with each token
    return { type: 'custom', id: idOf(source), token: (signal, renewal) => token.call(source, signal, renewal) }
  }
  const wanted = 'an object with a function token (signal, renewal)'
  reporter.error([...path, 'source'], source === undefined ? `is missing; add it, ${wanted}` : `must be ${wanted}; correct it`)
  return undefined
}

const ids = new WeakMap<object, string>()
let lastId = 0

function idOf (source: object): string {
  const id = ids.get(source) ?? String(++lastId)
  ids.set(source, id)
  return id
}

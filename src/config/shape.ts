import type * as z from 'zod'
import { CREDENTIAL_SHAPES } from './credential/schema.ts'
import { quoteAll, type Path, type Reporter } from './problem.ts'
import {
  ApiCredentialSchema,
  ApiSpecificationsSchema,
  ComponentsSchema,
  describeOisProblem,
  OIS_SCHEME_SHAPES,
  PathSchema,
  RelaySchema,
  ServerSchema
} from './ois/schema.ts'
import { RouteSchema, SCHEME_SHAPES, TlsSchema } from './route/schema.ts'
import { FileSchema, LimitsSchema, LoginsSchema, NOT_YET, SampleSchema, TokenCacheSchema } from './schema.ts'
import { isSection } from './sections.ts'

type ZodIssue = z.core.$ZodIssue

/** Options for zod: each shape parses once, and compiling it costs more time and memory than that, even with a thousand routes. */
export const PARSING = { jitless: true } as const

/** Reports every unknown key, wrong type and missing key of a document. */
export function checkShape (document: unknown, reporter: Pick<Reporter, 'error'>): void {
  checkPart(FileSchema, document, [], reporter)
}

/** Reports the same of one part of a document. */
export function checkPart (schema: z.ZodType, part: unknown, path: Path, reporter: Pick<Reporter, 'error'>): void {
  const { error } = schema.safeParse(part, PARSING)
  for (const zodIssue of error?.issues ?? []) reportZodIssue(zodIssue, path, { path, value: part }, reporter)
}

/**
 * Reads one part of a document whose shape was reported on already, so that its sound parts are checked further.
 *
 * @returns the part with its defaults; undefined where it has more wrong with it than unknown keys
 */
export function readPart<Schema extends z.ZodType> (schema: Schema, part: unknown): z.output<Schema> | undefined {
  const first = schema.safeParse(part, PARSING)
  if (first.success) return first.data
  if (first.error.issues.some((zodIssue) => zodIssue.code !== 'unrecognized_keys')) return undefined
  const copy = copyOf(part)
  for (const zodIssue of first.error.issues) {
    if (zodIssue.code !== 'unrecognized_keys') continue
    const owner = valueAt(copy, zodIssue.path)
    for (const key of zodIssue.keys) if (isObject(owner)) Reflect.deleteProperty(owner, key)
  }
  const second = schema.safeParse(copy, PARSING)
  return second.success ? second.data : undefined
}

/** Copies lists and objects; what else a program may have put there stays what it is. */
function copyOf (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (!isObject(value) || (Object.getPrototypeOf(value) ?? Object.prototype) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]))
}

/** A value's own property or item; undefined where there is none. */
export function valueAt (value: unknown, path: ReadonlyArray<PropertyKey>): unknown {
  let current = value
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined
    current = (current as Readonly<Record<PropertyKey, unknown>>)[key]
  }
  return current
}

export function isObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The part of a document that is checked, and its place. */
interface Root {
  readonly path: Path
  readonly value: unknown
}

function reportZodIssue (zodIssue: ZodIssue, base: Path, root: Root, reporter: Pick<Reporter, 'error'>): void {
  const path = [...base, ...zodIssue.path.map((part) => typeof part === 'number' ? part : String(part))]
  const valueOf = (at: Path): unknown => valueAt(root.value, at.slice(root.path.length))
  const value = valueOf(path)
  const special = describeOisProblem(path, value)
  if (special !== undefined) {
    reporter.error(path, special)
    return
  }
  if (zodIssue.code === 'unrecognized_keys') {
    for (const key of zodIssue.keys) reporter.error([...path, key], unknownKey(path, key, valueOf), 'key')
    return
  }
  if (zodIssue.code === 'invalid_union' && zodIssue.errors.length > 0) {
    // The branch that fits the kind of the value says what is wrong inside; where no branch fits, the kind is wrong.
    const inner = zodIssue.errors.find((branch) =>
      branch.some(({ path: deeper, code }) => deeper.length > 0 || code === 'unrecognized_keys')
    )
    for (const one of inner ?? []) reportZodIssue(one, path, root, reporter)
    if (inner === undefined) reporter.error(path, `must be ${alternatives(zodIssue.errors.flat())}; correct it`)
    return
  }
  const wanted = wantedBy(zodIssue)
  if (value === undefined) reporter.error(path, `is missing; add it, ${wanted}`)
  else reporter.error(path, `must be ${wanted}; correct it`)
}

function wantedBy (zodIssue: ZodIssue): string {
  if (zodIssue.code === 'invalid_type') return kindOf(zodIssue)
  if (zodIssue.code === 'invalid_value') return oneOf(zodIssue.values)
  if (zodIssue.code === 'invalid_union' && 'options' in zodIssue && Array.isArray(zodIssue.options)) return oneOf(zodIssue.options)
  if (zodIssue.code === 'too_small') return `${zodIssue.inclusive === true ? 'at least' : 'greater than'} ${zodIssue.minimum}`
  if (zodIssue.code === 'too_big') return `${zodIssue.inclusive === true ? 'at most' : 'less than'} ${zodIssue.maximum}`
  return 'something else'
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list, [ … ]',
  object: 'an object, { … }',
  record: 'an object, { … }'
}

function kindOf (zodIssue: ZodIssue): string {
  return 'expected' in zodIssue && typeof zodIssue.expected === 'string' ? KINDS[zodIssue.expected] ?? 'something else' : 'something else'
}

function alternatives (zodIssues: readonly ZodIssue[]): string {
  return [...new Set(zodIssues.map(kindOf))].join(', or ')
}

function oneOf (values: readonly unknown[]): string {
  const texts = values.map((value) => JSON.stringify(value))
  return texts.length === 1 ? texts.join('') : `one of ${texts.join(', ')}`
}

function unknownKey (path: Path, key: string, valueOf: (path: Path) => unknown): string {
  if (path.length === 0 && NOT_YET.includes(key)) return 'is not supported by this version; remove it'
  const known = knownKeys(path, valueOf)
  return known.length === 0 ? 'unknown key; remove it' : `unknown key; remove it, or write one of ${quoteAll(known)}`
}

function knownKeys (path: Path, valueOf: (path: Path) => unknown): string[] {
  const shapeOf = (shapes: Readonly<Record<string, { readonly shape: object }>>): string[] => {
    const type = valueOf([...path, 'type'])
    return typeof type === 'string' && Object.hasOwn(shapes, type) ? Object.keys(shapes[type]?.shape ?? {}) : []
  }
  const [top, , part] = path
  switch (top) {
    case undefined:
      return Object.keys(FileSchema.shape).filter((key) => !isSection(key))
    case 'credentials':
      return shapeOf(CREDENTIAL_SHAPES)
    case 'routes':
      return path.length === 2
        ? Object.keys(RouteSchema.shape)
        : part === 'relay'
          ? Object.keys(RelaySchema.shape)
          : part === 'tls'
            ? Object.keys(TlsSchema.shape)
            : shapeOf(SCHEME_SHAPES)
    case 'ois':
      return knownOisKeys(path, shapeOf)
    case 'apiCredentials':
      return Object.keys(ApiCredentialSchema.shape)
    case 'limits':
      return Object.keys(LimitsSchema.shape)
    case 'logins':
      return Object.keys(LoginsSchema.shape)
    case 'tokenCache':
      return Object.keys(TokenCacheSchema.shape)
    case 'accessLog':
      return Object.keys(SampleSchema.shape)
    default:
      return []
  }
}

function knownOisKeys (path: Path, shapeOf: (shapes: typeof OIS_SCHEME_SHAPES) => string[]): string[] {
  const [, , , part] = path
  if (part === undefined) return Object.keys(ApiSpecificationsSchema.shape)
  if (part === 'servers') return Object.keys(ServerSchema.shape)
  if (part === 'paths') return Object.keys(PathSchema.shape)
  return path.length === 4 ? Object.keys(ComponentsSchema.shape) : shapeOf(OIS_SCHEME_SHAPES)
}

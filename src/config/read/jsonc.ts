import { createScanner, parseTree, type Node, type ParseError } from 'jsonc-parser'
import type { At, Path } from '../problem.ts'
import { describeSyntaxErrors } from './jsonc-syntax.ts'
import { createPositions, isBefore, type JsoncProblem, type Position } from './position.ts'

/** A parsed file: plain values, and where each of them stands. */
interface JsoncDocument {
  /** Objects have no prototype, so a key such as `__proto__` or `constructor` is one like any other. */
  readonly value: unknown
  /** The position of a value or of its key; for a path that is not there, that of the nearest one around it. */
  locate (path: Path, at?: At): Position
}

interface OtherDocument extends JsoncDocument {
  /** Whether a position is within the value that the document was made for. */
  holds (position: Position): boolean
}

export interface JsoncResult {
  /** Absent where the syntax is broken; there in spite of duplicate keys. */
  readonly document?: JsoncDocument
  /** For each value behind a duplicate key, up to a number: the document with that value. */
  readonly others: readonly OtherDocument[]
  readonly problems: readonly JsoncProblem[]
}

// The configuration needs seven levels, an OIS inside it some twenty. The parser recurses, so a deeper file is refused before it runs.
const DEEPEST = 64
// Each is checked by itself.
const MOST_OTHERS = 20

/**
 * Reads JSON with comments and trailing commas (JSONC).
 *
 * @param text the file, with or without a byte order mark
 * @returns the values with their positions, and the problems: syntax errors and duplicate keys
 */
export function parseJsonc (text: string): JsoncResult {
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const positionAt = createPositions(source)
  const tooDeep = offsetTooDeep(source)
  if (tooDeep !== undefined) {
    return {
      others: [],
      problems: [{ path: [], position: positionAt(tooDeep), message: `nested deeper than ${DEEPEST} levels; flatten it` }]
    }
  }

  const errors: ParseError[] = []
  const root = parseTree(source, errors, { allowTrailingComma: true })
  if (errors.length > 0 || root === undefined) {
    return { others: [], problems: describeSyntaxErrors(errors, positionAt) }
  }

  const duplicates = collectDuplicates(positionAt)
  const read = (chosen: ReadonlySet<number>): JsoncDocument => ({
    value: valueOf(root, chosen, duplicates.add),
    locate: (wanted, at = 'value') => positionAt(placeOf(root, chosen, wanted, at))
  })
  const document = read(NONE)
  const others: OtherDocument[] = []
  // The list grows while duplicates are found in duplicates.
  for (const { child, chosen } of duplicates.further) {
    if (others.length === MOST_OTHERS) break
    const [start, end] = [positionAt(child.offset), positionAt(child.offset + child.length)]
    others.push({ ...read(chosen), holds: (position) => !isBefore(position, start) && isBefore(position, end) })
  }
  return { document, others, problems: duplicates.problems() }
}

/** A member of an object whose key was there before. */
interface Duplicate extends Member {
  readonly owner: Node
  readonly path: Path
  readonly name: string
  /** The duplicate keys that are taken in the document in which this one was found. */
  readonly chosen: ReadonlySet<number>
}

/**
 * Builds the plain value of a tree.
 *
 * @param chosen the offsets of the duplicate keys that are taken in place of the first of their name
 * @param onDuplicate called for each duplicate key
 */
function valueOf (root: Node, chosen: ReadonlySet<number>, onDuplicate: (duplicate: Duplicate) => void): unknown {
  // One path for the whole tree: a copy for each value would cost more than all the rest.
  const path: Array<string | number> = []
  return build(root)

  function build (node: Node): unknown {
    if (node.type === 'array') return (node.children ?? []).map((child, index) => within(index, child))
    if (node.type !== 'object') return node.value as unknown
    const object = Object.create(null) as Record<string, unknown>
    for (const member of node.children ?? []) {
      // By index: destructuring costs an iterator, for every member of a large file.
      const key = member.children?.[0]
      const child = member.children?.[1]
      if (key === undefined || child === undefined) continue
      const name = String(key.value)
      const isFurther = name in object
      if (isFurther) onDuplicate({ owner: node, path: [...path, name], name, key, child, chosen })
      if (!isFurther || chosen.has(key.offset)) object[name] = within(name, child)
    }
    return object
  }

  function within (step: string | number, child: Node): unknown {
    path.push(step)
    const value = build(child)
    path.pop()
    return value
  }
}

/** Collects duplicate keys, each once: the problem of each, and what to choose to read the document with its value. */
function collectDuplicates (positionAt: (offset: number) => Position) {
  const problems = new Map<number, JsoncProblem>()
  const further: Array<{ readonly child: Node, readonly chosen: ReadonlySet<number> }> = []
  return { further, problems: () => [...problems.values()], add }

  function add ({ owner, path, name, key, child, chosen }: Duplicate): void {
    if (problems.has(key.offset)) return
    const { line, column } = positionAt(memberOf(owner, name, NONE)?.key.offset ?? 0)
    problems.set(key.offset, {
      path,
      position: positionAt(key.offset),
      message: `duplicate key, the first is at ${line}:${column}; keep one of them`
    })
    further.push({ child, chosen: new Set([...chosen, key.offset]) })
  }
}

const NONE: ReadonlySet<number> = new Set()

interface Member {
  readonly key: Node
  readonly child: Node
}

/** The member of that name: the chosen one, else the first. */
function memberOf (node: Node, name: string, chosen: ReadonlySet<number>): Member | undefined {
  let first: Member | undefined
  for (const { children: [key, child] = [] } of node.children ?? []) {
    if (key === undefined || child === undefined || key.value !== name) continue
    if (chosen.has(key.offset)) return { key, child }
    first ??= { key, child }
  }
  return first
}

/** The offset of the value at a path, or of the nearest value around it. */
function placeOf (root: Node, chosen: ReadonlySet<number>, path: Path, at: At): number {
  let node = root
  for (const [index, step] of path.entries()) {
    const member = node.type === 'object' && typeof step === 'string' ? memberOf(node, step, chosen) : undefined
    const child = node.type === 'array' && typeof step === 'number' ? node.children?.[step] : member?.child
    if (child === undefined) return node.offset
    if (index === path.length - 1 && at === 'key' && member !== undefined) return member.key.offset
    node = child
  }
  return node.offset
}

function offsetTooDeep (text: string): number | undefined {
  const scanner = createScanner(text, true)
  for (let depth = 0; ;) {
    // SyntaxKind.EOF: a const enum, which isolatedModules cannot read.
    if (scanner.scan() === 17) return undefined
    const offset = scanner.getTokenOffset()
    const character = text[offset]
    if (character === '{' || character === '[') depth++
    if (character === '}' || character === ']') depth--
    if (depth > DEEPEST) return offset
  }
}

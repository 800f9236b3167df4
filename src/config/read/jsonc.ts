import { createScanner, parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser'
import type { At, Path } from '../problem.ts'

/** 1-based; columns count UTF-16 units, as editors do. */
interface Position {
  readonly line: number
  readonly column: number
}

/** A parsed file: plain values, and where each of them stands. */
export interface JsoncDocument {
  /** Objects have no prototype, so a key such as `__proto__` or `constructor` is one like any other. */
  readonly value: unknown
  /** The position of a value or of its key; for a path that is not there, that of the nearest one around it. */
  locate (path: Path, at?: At): Position
}

/** Something that makes the file unreadable or ambiguous. */
interface JsoncProblem {
  readonly path: Path
  readonly position: Position
  readonly message: string
}

interface OtherDocument extends JsoncDocument {
  /** Whether a position is within the value that the document was made for. */
  holds (position: Position): boolean
}

export interface JsoncResult {
  /** Absent where the syntax is broken; there in spite of duplicate keys. */
  readonly document?: JsoncDocument
  /** For each value behind a duplicate key, up to a number: the document as it is with that one. */
  readonly others: readonly OtherDocument[]
  readonly problems: readonly JsoncProblem[]
}

// The configuration needs seven levels, an OIS inside it some twenty. The parser recurses, so a deeper file must be refused before it.
const DEEPEST = 64
const MOST_SYNTAX_ERRORS = 10
// Each is judged by itself.
const MOST_OTHERS = 20

/**
 * Reads JSON with comments and trailing commas (JSONC).
 *
 * @param text the file, with or without a byte order mark
 * @returns the values with their positions, and what is wrong: syntax errors and duplicate keys
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
  if (errors.length > 0 || root === undefined) return { others: [], problems: syntaxProblems(errors, positionAt) }

  const problems = new Map<number, JsoncProblem>()
  // The further values of duplicate keys, with the keys to choose on the way to each.
  const further: Array<{ readonly node: Node, readonly chosen: ReadonlySet<number> }> = []
  const document = read(root, new Set())
  const others: OtherDocument[] = []
  // It grows while duplicates are found in duplicates.
  for (const { node, chosen } of further) {
    if (others.length === MOST_OTHERS) break
    const [start, end] = [positionAt(node.offset), positionAt(node.offset + node.length)]
    others.push({ ...read(root, chosen), holds: (position) => !isBefore(position, start) && isBefore(position, end) })
  }
  return { document, others, problems: [...problems.values()] }

  /** @param chosen the places of keys that are taken in place of the first of their name */
  function read (root: Node, chosen: ReadonlySet<number>): JsoncDocument {
    // Of the value that is being built: a copy for each would cost more than all the rest.
    const path: Array<string | number> = []
    return { value: build(root), locate: (wanted, at = 'value') => positionAt(placeOf(root, chosen, wanted, at)) }

    function build (node: Node): unknown {
      if (node.type === 'array') return (node.children ?? []).map((child, index) => within(index, child))
      if (node.type !== 'object') return node.value as unknown
      const object = Object.create(null) as Record<string, unknown>
      for (const member of node.children ?? []) {
        // By place: to take a list apart costs an iterator, for every member of a large file.
        const key = member.children?.[0]
        const child = member.children?.[1]
        if (key === undefined || child === undefined) continue
        const name = String(key.value)
        const isFurther = name in object
        if (isFurther) reportDuplicate(node, name, key, child)
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

    function reportDuplicate (node: Node, name: string, key: Node, child: Node): void {
      if (problems.has(key.offset)) return
      const { line, column } = positionAt(memberOf(node, name, NONE)?.key.offset ?? 0)
      problems.set(key.offset, {
        path: [...path, name],
        position: positionAt(key.offset),
        message: `duplicate key, the first is at ${line}:${column}; keep one of them`
      })
      further.push({ node: child, chosen: new Set([...chosen, key.offset]) })
    }
  }
}

const NONE: ReadonlySet<number> = new Set()

interface Member {
  readonly key: Node
  readonly child: Node
}

/** The member of that name: the one that is chosen, else the first. */
function memberOf (node: Node, name: string, chosen: ReadonlySet<number>): Member | undefined {
  let first: Member | undefined
  for (const { children: [key, child] = [] } of node.children ?? []) {
    if (key === undefined || child === undefined || key.value !== name) continue
    if (chosen.has(key.offset)) return { key, child }
    first ??= { key, child }
  }
  return first
}

/** The offset of what stands at a path, or of the nearest value around it. */
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

function isBefore (one: Position, other: Position): boolean {
  return one.line < other.line || (one.line === other.line && one.column < other.column)
}

function createPositions (text: string): (offset: number) => Position {
  // Only for what is wrong.
  let starts: readonly number[] | undefined
  return (offset) => {
    starts ??= [0, ...Array.from(text.matchAll(/\r\n|\n|\r/g), (match) => match.index + match[0].length)]
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }
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

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: 'unknown word; strings stand in double quotes, and true, false and null are the only words',
  InvalidNumberFormat: 'malformed number; write it as JSON has it, 10 or 0.5',
  PropertyNameExpected: 'a key is missing here; write it in double quotes',
  ValueExpected: 'a value is missing here; add one, or remove the key',
  ColonExpected: 'a colon is missing here; write "key": value',
  CommaExpected: 'a comma is missing here; add it',
  CloseBraceExpected: 'a closing } is missing here; add it',
  CloseBracketExpected: 'a closing ] is missing here; add it',
  EndOfFileExpected: 'the configuration has ended before this; remove what follows',
  UnexpectedEndOfComment: 'the comment has no end; close it with */',
  UnexpectedEndOfString: 'the string has no end; close it with a double quote on the same line',
  UnexpectedEndOfNumber: 'the number has no end; complete it',
  InvalidUnicode: 'malformed \\u escape; write four hexadecimal digits',
  InvalidEscapeCharacter: 'malformed escape; JSON wants a backslash doubled, so a literal ${ is written "\\\\${"',
  InvalidCharacter: 'a control character stands in a string; write it as an escape, \\n or \\t'
}

// The parser goes on after an error, and most of what it then says about the same line follows from the first.
function syntaxProblems (errors: readonly ParseError[], positionAt: (offset: number) => Position): JsoncProblem[] {
  const problems = new Map<number, JsoncProblem>()
  for (const { error, offset } of errors) {
    const position = positionAt(offset)
    const message = SYNTAX[printParseErrorCode(error)] ?? 'is no JSON; correct it'
    if (!problems.has(position.line)) problems.set(position.line, { path: [], position, message })
  }
  if (problems.size === 0) {
    return [{ path: [], position: { line: 1, column: 1 }, message: 'the file is empty; write the configuration as an object, { … }' }]
  }
  return [...problems.values()].slice(0, MOST_SYNTAX_ERRORS)
}

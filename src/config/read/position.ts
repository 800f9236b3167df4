import type { Path } from '../problem.ts'

/** 1-based; columns count UTF-16 units, as editors do. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Something that makes the file unreadable or ambiguous. */
export interface JsoncProblem {
  readonly path: Path
  readonly position: Position
  readonly message: string
}

/** Whether one position stands before another. */
export function isBefore (one: Position, other: Position): boolean {
  return one.line < other.line || (one.line === other.line && one.column < other.column)
}

/** Returns a function that turns offsets of a text into positions. */
export function createPositions (text: string): (offset: number) => Position {
  // Made with the first call: most files have no problem.
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

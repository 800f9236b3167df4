import { printParseErrorCode, type ParseError } from 'jsonc-parser'
import type { JsoncProblem, Position } from './position.ts'

const MOST_SYNTAX_ERRORS = 10

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

/**
 * Words the errors of the parser, one for each line: the parser goes on after an error, and most of what it then says about
 * the same line follows from the first.
 */
export function describeSyntaxErrors (errors: readonly ParseError[], positionAt: (offset: number) => Position): JsoncProblem[] {
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

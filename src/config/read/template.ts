/* eslint-disable no-template-curly-in-string -- ${NAME} is what this file is about */

/** The result of looking a secret up: its value, or why there is none. */
export type SecretResult =
  | { readonly ok: true, readonly value: string }
  | { readonly ok: false, readonly reason: string }

/** The names that a secret may have. */
const SECRET_NAME = /^[A-Z][A-Z0-9_]*$/

/** A string in which secrets stand in for their names. */
interface FilledTemplate {
  /** The text; of no use where a place is malformed or a secret absent. */
  readonly filled: string
  readonly holdsSecret: boolean
  /** A message for each malformed place. */
  readonly malformed: readonly string[]
  /** The secrets that could not be found, once for each place. */
  readonly absent: ReadonlyArray<{ readonly name: string, readonly reason: string }>
}

/** Replaces each `${NAME}` of a string by what `find` returns for the name. */
export function fillTemplate (text: string, find: (name: string) => SecretResult): FilledTemplate {
  const { parts, problems } = splitTemplate(text)
  const absent: Array<{ readonly name: string, readonly reason: string }> = []
  let holdsSecret = false
  let filled = ''
  for (const part of parts) {
    if (part.type === 'text') {
      filled += part.text
      continue
    }
    const secret = find(part.name)
    if (secret.ok) {
      filled += secret.value
      holdsSecret = true
    } else {
      absent.push({ name: part.name, reason: secret.reason })
    }
  }
  return { filled, holdsSecret, malformed: problems, absent }
}

type TemplatePart = { readonly type: 'text', readonly text: string } | { readonly type: 'secret', readonly name: string }

/** Takes a string apart into literal text and the names of secrets. Messages hold checked names only. */
export function splitTemplate (text: string): { readonly parts: readonly TemplatePart[], readonly problems: readonly string[] } {
  const parts: TemplatePart[] = []
  const problems: string[] = []
  let rest = text
  for (let start = rest.indexOf('${'); start !== -1; start = rest.indexOf('${')) {
    if (rest[start - 1] === '\\') {
      parts.push({ type: 'text', text: `${rest.slice(0, start - 1)}\${` })
      rest = rest.slice(start + 2)
      continue
    }
    const end = rest.indexOf('}', start)
    if (end === -1) {
      problems.push('${ has no closing }; write ${NAME}, or \\${ for a literal ${ (in JSON the backslash is doubled)')
      return { parts, problems }
    }
    parts.push({ type: 'text', text: rest.slice(0, start) })
    const name = rest.slice(start + 2, end)
    if (SECRET_NAME.test(name)) parts.push({ type: 'secret', name })
    else problems.push(problemOfName(name))
    rest = rest.slice(end + 1)
  }
  parts.push({ type: 'text', text: rest })
  return { parts, problems }
}

function problemOfName (name: string): string {
  const trimmed = name.trim()
  if (trimmed === '') return '${} names no secret; write ${NAME}'
  if (SECRET_NAME.test(trimmed)) return `\${ … } holds white space; write \${${trimmed}}`
  if (SECRET_NAME.test(trimmed.toUpperCase())) return '${…} holds lower-case letters; the names of secrets are upper case, write ${NAME}'
  return '${…} holds something else than a name, and nothing is evaluated; write ${NAME} (A to Z, 0 to 9 and _, a letter first)'
}

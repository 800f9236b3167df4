import { spellingsOf } from '#src/http/spellings.ts'

/** So many characters in a row of a secret are a part of it, not chance. */
const PART = 10

/**
 * What a text holds of some secrets: whole in any usual spelling, in hex, or a part.
 *
 * @returns the names of those that it holds something of
 */
export function tracesOf (text: string, secrets: Readonly<Record<string, string>>): string[] {
  const lower = text.toLowerCase()
  return Object.entries(secrets).filter(([, value]) => {
    const parts = Array.from({ length: Math.max(1, value.length - PART + 1) }, (_, at) => value.slice(at, at + PART))
    return (
      parts.some((part) => text.includes(part)) ||
      spellingsOf(value).some((bytes) => text.includes(bytes.toString('utf8'))) ||
      lower.includes(Buffer.from(value).toString('hex'))
    )
  }).map(([name]) => name)
}

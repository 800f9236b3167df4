import type { Dispatcher } from 'undici'

/**
 * Header fields as undici's controllers hold them, as a new flat list of text. Header bytes are Latin-1 on the wire (RFC 9110
 * section 5.5), and Node writes strings of them as Latin-1 again.
 */
export function rawText (raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  const text: string[] = []
  for (const item of raw) text.push(typeof item === 'string' ? item : item.toString('latin1'))
  return text
}

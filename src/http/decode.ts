const HIGH_BYTE = /[\x80-\xff]/g

/**
 * Decodes percent escapes as UTF-8; where some are malformed, those that can be read, byte by byte, as lenient readers
 * do. For comparing names only: what is sent stays as it was.
 *
 * @param text ASCII, or bytes as Latin-1 characters, which then count like escapes
 */
export function decodeLeniently (text: string): string {
  const escaped = text.replace(HIGH_BYTE, (byte) => `%${byte.charCodeAt(0).toString(16)}`)
  if (!escaped.includes('%')) return text
  try {
    return decodeURIComponent(escaped)
  } catch {
    return escaped.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  }
}

/**
 * Decodes percent escapes as UTF-8; where some are malformed, those that can be read, byte by byte, as lenient readers
 * do. For comparing names only: what is sent stays as it was.
 */
export function decodeLeniently (text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  }
}

import { readFileSync } from 'node:fs'

/** The version of this package, from its `package.json` (one level above `src` and `dist` alike). */
export function readVersion (): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version // our own file
}

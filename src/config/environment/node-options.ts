import type { Problem } from '../config.ts'
import type { Environment } from '../read/secrets.ts'

/** The dangers of Node's own options for secrets, by name without `--`. Options that only load code are left out: tracing needs them. */
const DANGERS: ReadonlyArray<readonly [options: RegExp, harm: string]> = [
  [
    /^(?:inspect|inspect-brk|inspect-wait|inspect-port|debug-port|inspect-publish-uid|experimental-network-inspection)$/,
    'opens this process to a debugger, which reads every secret'
  ],
  [/^tls-keylog$/, 'writes the keys of TLS connections to a file, so that whoever recorded them can read them'],
  [/^trace-tls$/, 'prints TLS connections, secrets of theirs included'],
  [
    /^(?:tls-cipher-list|tls-min-v1\.[01]|tls-max-v1\.[01]|openssl-legacy-provider)$/,
    'allows weak encryption on connections that carry secrets'
  ],
  [/^(?:heapsnapshot-signal|heapsnapshot-near-heap-limit)$/, 'writes the memory, and every secret in it, to a file'],
  [/^abort-on-uncaught-exception$/, 'leaves a core file with the memory, and every secret in it'],
  [
    /^(?:report-on-signal|report-on-fatalerror|report-uncaught-exception)$/,
    'writes reports to files, which may quote the environment and errors'
  ],
  [/^trace-event(?:-categorie)?s(?:-enabled)?$/, 'writes traces to a file, which may quote addresses with the keys in them']
]

/** Sections of NODE_DEBUG that print the data that passes through them: URLs with keys in the query, headers, environments of commands. */
const SECTIONS = ['http', 'https', 'http2', 'net', 'tls', 'stream', 'undici', 'fetch', 'websocket', 'child_process']

/** Warnings about variables that Node itself obeys, and that endanger secrets. */
export function checkNodeVariables (env: Environment): readonly Problem[] {
  const warn = (source: string, message: string): Problem => ({ severity: 'warning', source, message: `${message}; remove it` })
  const options = [...new Set(optionsOf(env['NODE_OPTIONS'] ?? ''))].flatMap((name) => {
    const harm = DANGERS.find(([names]) => names.test(name))?.[1]
    return harm === undefined ? [] : [warn('NODE_OPTIONS', `--${name} ${harm}`)]
  })
  const shown = sectionsOf(env['NODE_DEBUG'] ?? '')
  return shown.length === 0
    ? options
    : [...options, warn('NODE_DEBUG', `prints what passes through ${shown.join(', ')} on stderr, secrets included`)]
}

/** Splits NODE_OPTIONS as Node does: at blanks, with quotes, `_` for `-`, and values behind `=`. */
function optionsOf (text: string): string[] {
  const words = text.match(/(?:"(?:\\.|[^"\\])*"|\S)+/g) ?? []
  return words
    .map((word) => word.replace(/^"/, ''))
    .filter((word) => word.startsWith('--'))
    .map((word) => (/^--([^="]*)/.exec(word)?.[1] ?? '').replaceAll('_', '-').toLowerCase())
}

/** Reads NODE_DEBUG as Node does: names between commas, in any case, `*` for any text. */
function sectionsOf (text: string): string[] {
  const patterns = text.split(',').map(
    (entry) =>
      new RegExp(
        `^${entry
          .trim()
          .replace(/[|\\{}()[\]^$+?.]/g, '\\$&')
          .replace(/\*+/g, '.*')}$`,
        'i'
      )
  )
  return SECTIONS.filter((section) => patterns.some((pattern) => pattern.test(section)))
}

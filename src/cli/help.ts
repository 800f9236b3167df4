import type { Command, OptionSpec } from './command.ts'

/** The text of `countersign --help`. */
export function overview (commands: readonly Command[]): string {
  const list = (advanced: boolean): string =>
    columns(commands.filter((command) => (command.advanced === true) === advanced).map(({ name, summary }) => [name, summary]))
  return `Usage: countersign [command] [options]

A local proxy that keeps fresh credentials and puts them on: plain HTTP in, TLS and authentication out.

Commands:
${list(false)}

Advanced:
${list(true)}

\`countersign COMMAND --help\` tells more; --version prints the version.
To see it work without any account: countersign demo
`
}

/** The text of `countersign COMMAND --help`. */
export function commandHelp ({ name, usage, summary, options }: Command): string {
  const rows = Object.entries<OptionSpec>(options).map(([long, { short, value, help }]) => {
    return [`${short === undefined ? '    ' : `-${short}, `}--${long}${value === '' ? '' : ` ${value}`}`, help] as const
  })
  return `Usage: countersign ${name} ${usage}

${summary.charAt(0).toUpperCase()}${summary.slice(1)}.

Options:
${columns([...rows, ['-h, --help', 'this text'], ['    --version', 'the version']])}
`
}

function columns (rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

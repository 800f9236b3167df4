/** How figures are written. */

export const micros = (value) => `${value.toFixed(value < 100 ? 1 : 0)} µs`
export const millis = (value) => `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3)} ms`
export const seconds = (value) => `${value.toFixed(1)} s`
export const times = (value) => value.toFixed(2)
export const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
export const kibibytes = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`
export const count = (value) => value.toLocaleString('en-GB')

/** A Markdown table. */
export function table (head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** A row's name, ours in bold. */
export function emphasis (name, ours) {
  return ours ? `**${name}**` : name
}

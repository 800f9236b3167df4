/** Bar charts as SVG: readable on a light and on a dark page, with our bars and a reference marked. */

const WIDTH = 760
/** As wide as a letter in bold is on the average. */
const LETTER = 8
const SHORTEST_LABEL = 150
const VALUES = 90
const PADDING = 20
const BAR = 14
const GAP = 10
const HEAD = 64
const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 12px; fill: #59636e }
    .card { fill: #ffffff; stroke: #d1d9e0 }
    .bar { fill: #818b98 }
    .ours { fill: #0969da }
    .our { font-weight: 600 }
    .second { opacity: 0.55 }
    .reference { stroke: #bc4c00; stroke-dasharray: 4 3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .card { fill: #0d1117; stroke: #3d444d }
      .bar { fill: #656c76 }
      .ours { fill: #4493f8 }
      .reference { stroke: #f0883e }
    }`

/**
 * Draws `rows` of `{ name, values, ours }`, each with a bar for every one of `series` (one name, or two). `reference` is
 * `{ name, value }`, a line that all bars can be compared with; `format` writes a value.
 */
export function barChart ({ title, subtitle, series = [''], rows, reference, format }) {
  const rowHeight = BAR * series.length + GAP
  const height = HEAD + rows.length * rowHeight + PADDING + (reference === undefined ? 0 : 18)
  const most = Math.max(...rows.flatMap(({ values }) => values), reference?.value ?? 0)
  const left = PADDING + Math.max(SHORTEST_LABEL, ...rows.map(({ name }) => name.length * LETTER))
  const scale = (value) => most > 0 ? Math.max(value, 0) / most * (WIDTH - left - VALUES - PADDING) : 0
  const bars = rows.flatMap((row, index) => drawRow(row, HEAD + index * rowHeight, { left, scale, format, series }))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `  <title>${escape(title)}</title>`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    `  <text class="title" x="${PADDING}" y="28">${escape(title)}</text>`,
    `  <text class="small" x="${PADDING}" y="47">${escape(legend(subtitle, series))}</text>`,
    ...bars,
    ...(reference === undefined ? [] : drawReference(reference, left + scale(reference.value), height)),
    '</svg>',
    ''
  ].join('\n')
}

function drawRow ({ name, values, ours = false }, top, { left, scale, format, series }) {
  const middle = top + BAR * series.length / 2 + 5
  return [
    `  <text${ours ? ' class="our"' : ''} x="${left - 10}" y="${middle}" text-anchor="end">${escape(name)}</text>`,
    ...values.flatMap((value, index) => {
      const y = top + index * BAR
      const kind = `${ours ? 'bar ours' : 'bar'}${index > 0 ? ' second' : ''}`
      return [
        `  <rect class="${kind}" x="${left}" y="${y + 1}" width="${round(scale(value))}" height="${BAR - 2}" rx="2"/>`,
        `  <text${ours ? ' class="our"' : ''} x="${round(left + scale(value) + 6)}" y="${y + BAR - 3}">${escape(format(value))}</text>`
      ]
    })
  ]
}

function drawReference ({ name }, x, height) {
  const bottom = height - PADDING - 8
  return [
    `  <line class="reference" x1="${round(x)}" y1="${HEAD - 8}" x2="${round(x)}" y2="${bottom}"/>`,
    `  <text class="small" x="${round(x)}" y="${bottom + 16}" text-anchor="middle">${escape(name)}</text>`
  ]
}

function legend (subtitle, series) {
  return series.length === 1 ? subtitle : `${subtitle}; upper bar: ${series[0]}, lower bar: ${series[1]}`
}

function round (value) {
  return Math.round(value * 10) / 10
}

function escape (text) {
  return text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character])
}

/**
 * Prints `docs/api.md` from the declarations that the package ships (`dist/index.d.ts` and what it exports): the text of each
 * export's comment, its declaration, its example. `npm run docs` writes it.
 */
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ENTRY = fileURLToPath(new URL('../dist/index.d.ts', import.meta.url))

/** The sections, and which exports they have; what none of them names is one of the parts. */
const SECTIONS = [
  ['A proxy in a program', /^(?:createProxy|Proxy|ProxyOptions|ConfigInput|CredentialInput|CustomCredentialInput|OrSecret|ConfigError|ApiLog|Status|RouteStatus)$/],
  ['Tokens', /^(?:createTokenSource|TokenSourceOptions|createRefresher|Refresher|RefresherOptions|CustomSource|CustomGrant|TokenSource|Grant|Renewal|Token|TokenError|FailureClass|CredentialStore|CredentialOptions|StoreOptions|CredentialStatus|CredentialState|FetchEvent|TokenLog|LoginLimits|Clock|Secret|ProxyError|ErrorCode|ERRORS)$/],
  ['`fetch` with credentials', /^(?:createFetch|FetchOptions|FetchScheme|FetchSchemeSource)$/],
  ['The parts', /^/]
]

process.stdout.write(apiFileText())

function apiFileText () {
  const exported = readExports()
  const rest = new Set(exported)
  const sections = SECTIONS.map(([title, names]) => {
    const own = [...rest].filter(({ name }) => names.test(name))
    for (const one of own) rest.delete(one)
    return `## ${title}\n\n${own.map(describe).join('\n\n')}`
  })
  return `# API

Written by \`npm run docs\` from the comments in the source; a test compares. Programs that use it are in \`examples/\`. Durations are
milliseconds, and instants RFC 3339, where nothing else is said.

${sections.join('\n\n')}
`
}

/** Reads every export, in the order of \`index.ts\`. */
function readExports () {
  // No library and no package takes part: nothing is checked here, and names of theirs stay names.
  const program = ts.createProgram([ENTRY], { noLib: true, types: [], module: ts.ModuleKind.NodeNext })
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(ENTRY)
  const module = file && checker.getSymbolAtLocation(file)
  if (module === undefined) throw new Error('dist/index.d.ts is no module; run npm run build')
  return checker.getExportsOfModule(module).map((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const [declaration] = target.declarations ?? []
    // Of a constant, the statement has the comment.
    const node = declaration && ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
    return {
      name: symbol.name,
      text: ts.displayPartsToString(target.getDocumentationComment(checker)),
      tags: target.getJsDocTags(checker).map(({ name, text }) => ({ name, text: ts.displayPartsToString(text) })),
      code: node === undefined ? `type ${symbol.name}` : codeOf(node)
    }
  })
}

function codeOf (node) {
  return node.getText().replace(/^export (?:declare )?/, '').replace(/;$/gm, '').replace(/^ {4,}/gm, (blanks) => ' '.repeat(Math.ceil(blanks.length / 2)))
}

function describe ({ name, text, tags, code }) {
  const list = tags.filter((tag) => tag.name !== 'example' && tag.name !== 'module').map(describeTag)
  const examples = tags.filter((tag) => tag.name === 'example').map((tag) => `\`\`\`js\n${tag.text.trim()}\n\`\`\``)
  return [`### ${name}`, joined(text), list.join('\n'), `\`\`\`ts\n${code}\n\`\`\``, ...examples].filter((part) => part !== '').join('\n\n')
}

function describeTag ({ name, text }) {
  const [, parameter, rest] = /^(\w+) ?(?:- )?([^]*)$/.exec(text) ?? []
  return name === 'param' ? `- \`${parameter}\`: ${joined(rest ?? '')}` : `- ${name === 'throws' ? 'throws' : 'returns'} ${joined(text)}`
}

/** Prose without the line breaks of its comment; what is indented is code and keeps them. */
function joined (text) {
  return text
    .replace(/\{@link ([^}]+)\}/g, (_, target) => `\`${target.trim()}\``)
    .split('\n\n')
    .map((paragraph) => /^ {4}|^- /m.test(paragraph) ? paragraph : paragraph.replaceAll('\n', ' '))
    .join('\n\n')
    .trim()
}

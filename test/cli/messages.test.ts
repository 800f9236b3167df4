import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t from 'tap'
import { COMMANDS } from '#src/cli/main.ts'
import { overview } from '#src/cli/help.ts'
import { ERRORS } from '#src/errors.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Texts that name no command, though they read like one. */
const NO_COMMANDS = /countersign token cache 1:|`countersign`|docker exec \S+|countersign countersign/g

/** Where text for people stands: messages in the source, documents, examples. */
function texts (): Array<readonly [file: string, text: string]> {
  const below = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file))
  return [
    'README.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'docker-compose.yml',
    'Dockerfile',
    ...below('src'),
    ...below('docs'),
    ...below('config')
  ]
    .filter((file) => /\.(?:ts|md|jsonc|json|yml)$|Dockerfile$/.test(file))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')] as const)
}

t.test('every command that a message or a document names is in the help, with the options that it is named with', async (t) => {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const help = overview(commands)
  let found = 0
  for (const [file, text] of texts()) {
    const named = text
      .replace(NO_COMMANDS, '')
      .matchAll(
        /`countersign ([a-z][\w-]*)([^`\n]*)`|\bcountersign ([a-z]+):? (?=the whole|--|-[a-z] )([^`'\n]*)|: countersign ([a-z]+)$/gm
      )
    for (const match of named) {
      const name = match[1] ?? match[3] ?? match[5] ?? ''
      const options = match[2] ?? match[4] ?? ''
      found++
      t.match(help, new RegExp(`^ {2}${name} `, 'm'), `${file}: countersign ${name}`)
      const known = new Set(['help', 'version', ...Object.keys(commands.find((one) => one.name === name)?.options ?? {})])
      for (const [, option = ''] of options.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)) {
        t.ok(known.has(option), `${file}: countersign ${name} --${option}`)
      }
    }
  }
  t.ok(found > 20, 'they are found')
})

t.test('what the proxy answers names commands that exist', async (t) => {
  for (const [code, { message }] of Object.entries(ERRORS)) {
    for (const [, name = ''] of message.matchAll(/`countersign ([a-z-]+)/g)) t.ok(Object.hasOwn(COMMANDS, name), `${code}: ${name}`)
  }
})

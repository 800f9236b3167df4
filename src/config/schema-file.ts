import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fileJsonSchema } from './schema.ts'

/** The text of `config/countersign.schema.json`. */
export function schemaFileText (): string {
  return `${JSON.stringify(fileJsonSchema(), null, 2)}\n`
}

if (isMain()) process.stdout.write(schemaFileText())

function isMain (): boolean {
  const script = process.argv[1]
  return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)
}

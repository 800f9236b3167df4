/** Prints `config/countersign.schema.json`, made from the schema that the program itself checks with: `npm run schema` writes it. */
import { fileJsonSchema } from '#src/config/schema.ts'

process.stdout.write(`${JSON.stringify(fileJsonSchema(), null, 2)}\n`)

import type { Credentials } from './route/bindings.ts'
import type { ConfigDocument } from './read/document.ts'
import type { Reporter } from './problem.ts'
import type { TextResult } from './read/text.ts'

/** Reads a file, which is watched for changes from then on. */
type ReadFile = (name: string) => TextResult

/** The files around a configuration; relative names start from the folder of its file. */
export interface Files {
  readonly read: ReadFile
  /** Makes a name absolute. */
  readonly locate: (name: string) => string
}

/** The document and everything that is shared while its parts are resolved. */
export interface Context {
  readonly document: ConfigDocument
  readonly credentials: Credentials
  readonly reporter: Reporter
  /** Reads a file that the configuration names, from the folder of its file on. */
  readonly readFile: ReadFile
}

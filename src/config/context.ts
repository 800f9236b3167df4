import type { Credentials } from './route/bindings.ts'
import type { ConfigDocument } from './read/document.ts'
import type { Reporter } from './problem.ts'
import type { TextResult } from './read/text.ts'

/** Reads a file; what is read is watched for changes. */
type ReadFile = (name: string) => TextResult

/** The files around a configuration; relative names start from the folder of its file. */
export interface Files {
  readonly read: ReadFile
  /** Makes a name absolute. */
  readonly locate: (name: string) => string
}

/** What the parts of a configuration need of one another. */
export interface Context {
  readonly document: ConfigDocument
  readonly credentials: Credentials
  readonly reporter: Reporter
  /** Reads a file that the configuration names, from the folder of its file on. */
  readonly readFile: ReadFile
}

import { quoteAll, type Reporter } from '../problem.ts'
import { isSection } from '../sections.ts'
import { isObject } from '../shape.ts'

/** Warns once of the sections that are ignored. Without an OIS beside them the file is no Airnode's, and each of them is an error. */
export function checkSections (document: unknown, reporter: Reporter): void {
  if (!isObject(document)) return
  const sections = Object.keys(document).filter(isSection)
  const [first] = sections
  if (first === undefined) return
  const subject = sections.length === 1 ? 'belongs to an Airnode and is' : `${quoteAll(sections)} belong to an Airnode and are`
  if (Object.hasOwn(document, 'ois')) {
    reporter.warning([first], `${subject} ignored; only ois, apiCredentials and Countersign's own keys are read`, 'key')
  } else {
    for (const section of sections) {
      reporter.error([section], 'is a section of an Airnode configuration, and this file has no ois; remove it', 'key')
    }
  }
}

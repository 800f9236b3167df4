/** Runs several compiled test files in one process, one after the other: node scripts/together.js build/a.test.js build/b.test.js */
import { pathToFileURL } from 'node:url'

// Taken off: tap names the folders of a test's files after the command line.
for (const file of process.argv.splice(2)) await import(pathToFileURL(file).href)

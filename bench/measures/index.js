/** What is measured, in this order. A measure has `parts`, and `run (bench, parts)` that resolves with the figures of each. */
import { files } from './files.js'
import { logins } from './logins.js'
import { memory } from './memory.js'
import { requests } from './requests.js'
import { scrape } from './scrape.js'
import { start } from './start.js'
import { streams } from './streams.js'

export const measures = [requests, streams, logins, memory, start, scrape, files]

export const PARTS = measures.flatMap(({ parts }) => parts)

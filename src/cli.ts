#!/usr/bin/env node
import { hearSignals } from './cli/signals.ts'

// First of all, and all else is imported afterwards: a signal that nobody hears yet is lost to process 1 and kills any other.
const signals = hearSignals()
const { main } = await import('./cli/main.ts')
await main(process.argv.slice(2), signals)

// One part of the demo as a process of its own, for a container: node bin/demo-part.js identity-provider|upstream

// First of all, and all else is imported afterwards. There is nothing to finish; and PID 1 of a container is ended by no signal
// that it does not handle.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { process.exit(0) })
// Unheard, the one opens a debugger, and the others kill.
for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.on(signal, () => {})

const { startPart } = await import('./parts.ts')
await startPart(process.argv[2])

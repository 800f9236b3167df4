// One part of the demo as a process of its own, for a container: node bin/demo-part.js identity-provider|upstream

// Runs first; everything else is imported afterwards. There is nothing to finish, and no signal ends PID 1 of a container unless
// it handles that signal.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { process.exit(0) })
// Without a handler the one opens a debugger, and the others kill.
for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.on(signal, () => {})

const { startPart } = await import('./parts.ts')
await startPart(process.argv[2])

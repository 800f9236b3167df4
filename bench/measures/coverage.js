/** Preloaded into a process: replies to each message with the calls of functions since the message before, by file and name. */
import { Session } from 'node:inspector/promises'

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

process.on('message', async () => {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  process.send(
    Object.fromEntries(result.map(({ url, functions }) => [url, callsOf(functions)]).filter(([, calls]) => Object.keys(calls).length > 0))
  )
})

function callsOf (functions) {
  const calls = {}
  for (const { functionName, ranges: [{ count }] } of functions) {
    const name = functionName || 'anonymous'
    if (count > 0) calls[name] = (calls[name] ?? 0) + count
  }
  return calls
}

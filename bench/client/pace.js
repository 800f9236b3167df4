import { performance } from 'node:perf_hooks'
import { openConnection } from './connections.js'

/** Enough that a proxy which stands still for some time is asked on, at some hundred requests a second. */
const CONNECTIONS = 64
const TICK_MS = 1

/**
 * Asks at an even pace, whether responses come or not, until `signal` is aborted: a proxy that stands still is asked on, and each of
 * those requests has waited. Returns the milliseconds that each took, from when it was due where no connection was free.
 */
export async function askAtPace (port, message, perSecond, signal) {
  const idle = []
  for (let i = 0; i < CONNECTIONS; i++) idle.push(await openConnection(port))
  const connections = [...idle]
  const times = []
  const waiting = []
  const beganAt = performance.now()
  let due = 0
  let open = 0
  try {
    await new Promise((resolve, reject) => {
      const send = (connection, since) => {
        open += 1
        connection.ask(message, () => {
          open -= 1
          times.push(performance.now() - since)
          if (waiting.length > 0) send(connection, waiting.shift())
          else idle.push(connection)
          if (signal.aborted && open === 0) resolve()
        }, reject)
      }
      const timer = setInterval(() => {
        if (signal.aborted) {
          clearInterval(timer)
          if (open === 0) resolve()
          return
        }
        const now = performance.now()
        for (; due < (now - beganAt) * perSecond / 1000; due++) {
          if (idle.length > 0) send(idle.pop(), now)
          else waiting.push(now)
        }
      }, TICK_MS)
    })
  } finally {
    for (const connection of connections) connection.close()
  }
  return Float64Array.from(times)
}

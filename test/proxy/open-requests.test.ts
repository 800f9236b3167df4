import { ServerResponse, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { Context } from '#src/proxy/context.ts'
import { OpenRequests } from '#src/proxy/open-requests.ts'

t.test('what was added and not ended is there, once, and the last end is told', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), fc.nat())), async (steps) => {
    const requests = new OpenRequests()
    const inFlight = { requests: 0 }
    const aborted: Context[] = []
    const ended: unknown[] = []
    const open: Context[] = []
    const end = (context: Context): void => { context.response.emit('close') }
    for (const [adds, which] of steps) {
      if (adds || open.length === 0) {
        const context = createContext(inFlight, (one) => ended.push(one), (one) => aborted.push(one))
        open.push(context)
        requests.add(context)
      } else {
        const [context] = open.splice(which % open.length, 1)
        if (context !== undefined) end(context)
      }
      if (inFlight.requests !== open.length) return false
    }
    requests.abort()
    if (aborted.length !== open.length || !open.every((context) => aborted.includes(context))) return false
    const none = requests.whenNone()
    const before = ended.length
    for (const context of open) end(context)
    await none
    return ended.length === before + open.length && inFlight.requests === 0
  }))
  t.pass()
})

/** The fields that count here. */
function createContext (inFlight: { requests: number }, ended: (context: unknown) => void, aborted: (context: Context) => void): Context {
  const message = new IncomingMessage(new Socket())
  const context = {
    message,
    response: new ServerResponse(message),
    proxy: { inFlight, observer: { ended } },
    place: -1,
    switched: false
  } as unknown as Context
  message.socket.destroy = () => {
    aborted(context)
    return message.socket
  }
  return context
}

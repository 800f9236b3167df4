import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** An address whose SYNs nobody answers, until it is told to go on. */
export interface SlowAddress {
  readonly port: number
  /** From now on it takes connections: those that are still being tried, too. */
  readonly goOn: () => void
}

interface Teardown {
  teardown (handler: () => unknown): void
}

// The thread listens and stands still before it accepts anything: once its queue is full, Linux drops what else comes in.
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer((socket) => {
    socket.on('error', () => {})
    const behind = require('node:net').connect(workerData.to, '127.0.0.1')
    behind.on('error', () => { socket.destroy() })
    socket.pipe(behind).pipe(socket)
  })
  server.listen({ port: 0, host: workerData.host, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => { Atomics.wait(workerData.gate, 0, 0) })
  })
`

/** Starts a slow address on a free port of an address of loopback; what it takes once it goes on, it hands to a port of 127.0.0.1. */
export async function startSlowAddress (t: Teardown, host: string, to: number): Promise<SlowAddress> {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(THREAD, { eval: true, workerData: { gate, host, to } })
  const [port] = await once(worker, 'message') as [number] // the thread's first message
  const fillers: Socket[] = []
  const goOn = (): void => {
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
  }
  t.teardown(async () => {
    for (const filler of fillers) filler.destroy()
    goOn()
    await worker.terminate()
  })
  // A backlog of one holds two.
  for (let turn = 0; turn < 2; turn++) {
    const filler = connect(port, host)
    filler.on('error', () => {})
    fillers.push(filler)
    await once(filler, 'connect')
  }
  return { port, goOn }
}

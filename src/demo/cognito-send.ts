import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { EmulatorResponse, Mischief } from './cognito-faults.ts'
import type { Service } from './cognito-operations.ts'

/** Sends a response as a fault wants it: late, cut off, reset, or not at all. */
export async function misbehave (
  service: Service,
  response: ServerResponse,
  given: EmulatorResponse | undefined,
  mischief: Mischief | undefined
): Promise<void> {
  if (mischief?.type === 'drop') response.destroy()
  if (given === undefined) return
  if (mischief?.type === 'slow') await pause(mischief.ms, response)
  if (mischief?.type === 'truncated') {
    send(service, response, { ...given, body: given.body.slice(0, given.body.length / 2) })
    return
  }
  if (mischief?.type !== 'reset') {
    send(service, response, given)
    return
  }
  response.writeHead(given.status, headersOf(service, given))
  response.write(given.body.slice(0, given.body.length / 2), () => {
    response.socket?.resetAndDestroy()
  })
}

/** Sends a response with the headers of the service. */
export function send (service: Service, response: ServerResponse, given: EmulatorResponse): void {
  response.writeHead(given.status, headersOf(service, given)).end(given.body)
}

function headersOf (service: Service, response: EmulatorResponse): Record<string, string | number> {
  return {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(response.body),
    date: new Date(service.now()).toUTCString(),
    'x-amzn-requestid': randomUUID(),
    ...response.headers
  }
}

function pause (ms: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    timer.unref()
    response.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

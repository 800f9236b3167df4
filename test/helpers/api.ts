import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request as an upstream saw it. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Epoch milliseconds at arrival. */
  readonly at: number
}

/** An upstream that records what reaches it. */
export interface RecordingApi {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  readonly close: () => Promise<void>
}

/** Starts an upstream on a free loopback port; it answers 200 `{}` unless told otherwise. */
export async function startApi (
  respond: (request: SeenRequest) => { status: number, body: string } = () => ({ status: 200, body: '{}' })
): Promise<RecordingApi> {
  const seen: SeenRequest[] = []
  const server = createServer((message, response) => {
    const at = Date.now()
    read(message).then(
      (body) => {
        const request = {
          method: message.method ?? '',
          url: message.url ?? '',
          rawHeaders: message.rawHeaders,
          headers: message.headers,
          body,
          at
        }
        seen.push(request)
        const { status, body: text } = respond(request)
        response.writeHead(status, { 'content-type': 'application/json' }).end(text)
      },
      () => {
        response.destroy()
      }
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      })
  }
}

async function read (message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** The values of a header in a raw list, by any spelling that folds to the name. */
export function valuesOf (rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase().replaceAll('_', '-') === name)
}

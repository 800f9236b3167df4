import { request } from 'node:http'

export interface PlainResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface PlainRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What a legacy app does: one plain HTTP request on a connection of its own. */
export function call (address: unknown, path: string, { method = 'GET', headers = {}, body }: PlainRequest = {}): Promise<PlainResponse> {
  return new Promise((resolve, reject) => {
    const [, socketPath] = /^unix:(.*)$/.exec(String(address)) ?? []
    const outgoing = request(
      `http://${socketPath === undefined ? String(address) : 'localhost'}${path}`,
      { method, headers, agent: false, ...(socketPath !== undefined && { socketPath }) },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
        })
        response.on('error', reject)
      }
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

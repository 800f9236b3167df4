/**
 * An upstream on Node. It answers a small JSON body, 64 KiB at `/64k`, or as many MiB as `/stream/N` says, once it has read the
 * request to its end.
 */
import { createServer } from 'node:http'

const SMALL = '{"answer": 42 }'
const BLOCK = Buffer.alloc(64 * 1024, 'x')

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const mebibytes = Number(/^\/stream\/(\d+)$/.exec(request.url)?.[1] ?? 0)
  const body = request.url === '/64k' ? BLOCK : SMALL
  request.resume().once('end', () => {
    if (mebibytes > 0) stream(response, mebibytes * 2 ** 20)
    else response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
  })
})
server.listen(0, '127.0.0.1', 4096, () => { console.log(JSON.stringify({ port: server.address().port })) })

function stream (response, bytes) {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes })
  let left = bytes / BLOCK.length
  const send = () => {
    while (left > 0) {
      left -= 1
      if (!response.write(BLOCK)) {
        response.once('drain', send)
        return
      }
    }
    response.end()
  }
  send()
}

const HEAD = /^HTTP\/1\.1 (\d{3}) [^]*\r\ncontent-length: (\d+)\r\n/i
const LONGEST_HEAD = 4096

/** Reads the responses of a connection, whose length must be told. Calls `done` at the end of each, and `fail` with what is none. */
export function createResponseReader (done, fail) {
  let head = ''
  let left = 0
  return (bytes) => {
    if (left > 0) {
      left -= bytes.length
    } else {
      const before = head.length
      head += bytes.toString('latin1', 0, LONGEST_HEAD)
      const end = head.indexOf('\r\n\r\n')
      if (end === -1 && head.length < LONGEST_HEAD) return
      const [, status, length] = HEAD.exec(head.slice(0, end + 2)) ?? []
      if (status !== '200') {
        fail(new Error(`not the upstream's response: ${head.slice(0, 300)}`))
        return
      }
      left = Number(length) - (before + bytes.length - end - 4)
      head = ''
    }
    if (left < 0) fail(new Error('more bytes than the response has'))
    else if (left === 0) done()
  }
}

import { LineWriter } from '#src/line-writer.ts'

/** A line of the log, as far as tests look at it. */
export interface ReadLine {
  readonly level: string
  readonly msg: string
  readonly requestLines?: number
  readonly otherLines?: number
}

/** A writer whose reader stands still, until `read` takes all that it gets. */
export function createStillReader (): { readonly writer: LineWriter, readonly read: () => ReadLine[] } {
  let reading = false
  let text = ''
  const writer = new LineWriter((bytes) => {
    if (!reading) throw Object.assign(new Error('nobody reads'), { code: 'EAGAIN' })
    text += Buffer.from(bytes).toString('utf8')
    return bytes.length
  })
  return {
    writer,
    read: () => {
      reading = true
      writer.flush()
      return text.trimEnd().split('\n').map((line) => JSON.parse(line) as ReadLine)
    }
  }
}

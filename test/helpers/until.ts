import { PATIENCE_MS } from './patience.ts'

const LOOK_MS = 10

/** Resolves with what `find` finds; looks again and again until it finds something or patience runs out. */
export async function until<Found> (
  what: string,
  find: () => Found | undefined | false | Promise<Found | undefined | false>
): Promise<Found> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    const found = await find()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS)
    })
  }
  throw new Error(`waited too long for ${what}`)
}

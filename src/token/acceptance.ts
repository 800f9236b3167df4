import { rejectionPauseMs } from './schedule.ts'
import type { Token } from './token.ts'

/** Remembers which tokens one upstream accepts and rejects. */
export interface Acceptance {
  /** Notes a response other than 401. */
  readonly accept: (credential: string, token: Token) => void
  /** Notes a 401. @returns how old the token must be before that replaces it, in milliseconds */
  readonly refuse: (credential: string, token: Token) => number
}

/** The newest tokens of one credential that an upstream accepted and rejected, and how many it rejected since it accepted one. */
interface View {
  accepted: Token | undefined
  refused: Token | undefined
  inARow: number
}

/**
 * Makes the memory of one upstream. Each upstream has its own: one that rejects every token (a permission
 * that is missing, a wrong audience) must not be taken for one that revokes them, since that would cost a fetch per request;
 * nor must it slow the others down.
 */
export function createAcceptance (): Acceptance {
  const views = new Map<string, View>()
  const viewOf = (credential: string): View => {
    const known = views.get(credential)
    if (known !== undefined) return known
    const view = { accepted: undefined, refused: undefined, inARow: 0 }
    views.set(credential, view)
    return view
  }
  return {
    accept: (credential, token) => {
      const view = viewOf(credential)
      if (view.accepted === token || isOlder(token, view.accepted)) return
      view.accepted = token
      view.inARow = 0
    },
    refuse: (credential, token) => {
      const view = viewOf(credential)
      if (view.accepted === token) return 0
      if (view.refused !== token && !isOlder(token, view.refused)) {
        view.refused = token
        view.inARow += 1
      }
      return rejectionPauseMs(view.inARow)
    }
  }
}

// Responses to requests with an earlier token may come late.
function isOlder (token: Token, other: Token | undefined): boolean {
  return other !== undefined && token.obtainedAt < other.obtainedAt
}

import { rejectionPauseMs } from './schedule.ts'
import type { Token } from './token.ts'

/** What one upstream makes of the tokens that it is sent. */
export interface Acceptance {
  /** It answered anything but 401. */
  readonly accept: (credential: string, token: Token) => void
  /** It answered 401. @returns how old the token must be before that replaces it, in milliseconds */
  readonly refuse: (credential: string, token: Token) => number
}

/** The newest tokens of one credential that an upstream took and that it did not, and how many it refused since it took one. */
interface View {
  accepted: Token | undefined
  refused: Token | undefined
  inARow: number
}

/**
 * Remembers the newest tokens of each credential. Kept for each upstream by itself: one that refuses every token (a permission
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

// Answers to requests with an earlier token may come late.
function isOlder (token: Token, other: Token | undefined): boolean {
  return other !== undefined && token.obtainedAt < other.obtainedAt
}

/**
 * Of 60-second tokens a tenth (contract: never sent with less), less the second that `iat` is rounded down by and half a second on the way.
 */
const LEAST_LIFE_MS = 6_000 - 1_500
/** Around every instant of a verdict: what the daemon knows is on its way for a while. */
const SLACK_MS = 1_500
const KEPT_MS = 600_000

/** Every token that a provider issued: whose it is, how long it lives, whether its response arrived, whether the upstream refused it. */
export function createLedger () {
  const tokens = new Map()
  const latest = new Map()
  return { issue, issueFixed, deliver, judge, usable, revokeAll }

  function issue (value, credential, expiresAt) {
    const now = Date.now()
    for (const [old, token] of tokens) if (token.expiresAt < now - KEPT_MS) tokens.delete(old)
    const token = { credential, expiresAt, fixed: false, revoked: false, deliveredAt: undefined, bouncedAt: undefined }
    tokens.set(value, token)
    return token
  }

  /** A static secret: it never expires, and a 401 changes nothing. */
  function issueFixed (value, credential) {
    const token = { ...issue(value, credential, Infinity), fixed: true, deliveredAt: 0 }
    tokens.set(value, token)
    latest.set(credential, token)
  }

  /** The provider's response with this token went out whole. */
  function deliver (token) {
    token.deliveredAt = Date.now()
    latest.set(token.credential, token)
  }

  /** What is wrong with a token that reached the upstream for a credential; its record where nothing is. */
  function judge (value, credential) {
    const token = tokens.get(value)
    if (token === undefined) return { problem: 'a token that no provider issued' }
    if (token.credential !== credential) return { problem: `a token of ${token.credential}` }
    const leftMs = token.expiresAt - Date.now()
    if (leftMs < LEAST_LIFE_MS) return { problem: leftMs < 0 ? 'an expired token' : `a token with ${leftMs} ms left` }
    return { token, leftMs }
  }

  /** Whether the daemon held a token that it could send, all the time from one instant to another. */
  function usable (credential, from, to) {
    const token = latest.get(credential)
    if (token === undefined) return false
    if (token.fixed) return true
    if (token.bouncedAt !== undefined && token.bouncedAt <= to) return false
    return token.deliveredAt < from - SLACK_MS && token.expiresAt > to + 6_000 + SLACK_MS
  }

  /** From now on the upstream refuses the tokens that are in use. */
  function revokeAll () {
    for (const token of latest.values()) if (!token.fixed) token.revoked = true
  }
}

/** The longest back-off, an attempt that ran into its deadline just before, and slack. */
const RECOVERY_MS = 60_000 + 11_000 + 2_000
const LONGEST_RETRY_AFTER_S = 61
const SHOWN = 20

/**
 * Compares the responses that clients got with those that the upstream gave, and the proxy's own errors with what it could know.
 *
 * @param fairSince when the provider of a credential was last seen to recover, undefined while it misbehaves
 * @param visits what the upstream did with a request, by its id
 */
export function createJudge ({ ledger, fairSince, visits, say }) {
  const counts = new Map()
  let wrong = 0
  let longestRecoveryMs = 0
  return { responded, condemn, count, counts, wrong: () => wrong, longestRecoveryMs: () => longestRecoveryMs }

  /** A response as a client got it: `broken` where it has no end. `expected` is the body of a 200. */
  function responded ({ id, credential, startedAt, expected, safe = true }, { status, headers = {}, body = '', broken = false }) {
    const seen = visits.get(id) ?? []
    visits.delete(id)
    const problem =
      judgeVisits(seen, safe) ?? judgeAnswer(seen.at(-1), { credential, startedAt, expected }, { status, headers, body, broken })
    if (problem !== undefined) condemn(credential, problem, { status, broken, seen: seen.map(({ status }) => status) })
    count(
      broken ? 'broken by the upstream' : headers['proxy-status'] === undefined ? `upstream ${status}` : `own ${status} ${codeOf(body)}`
    )
  }

  /**
   * Whether a request may have been sent twice: after a first 401, and once more where a connection that had served before broke
   * under a request that may be repeated.
   */
  function judgeVisits (seen, safe) {
    const before = seen.slice(0, -1).map(({ status }) => status)
    if (new Set(before).size < before.length) return `sent again after ${before}`
    const other = before.find((status) => status !== 401 && !(status === 'reset' && safe))
    return other === undefined ? undefined : `sent again after ${other}`
  }

  function judgeAnswer (last, { credential, startedAt, expected }, { status, headers, body, broken }) {
    if (headers['proxy-status'] !== undefined) return judgeOwn(last, { credential, startedAt }, { status, headers, body })
    if (last === undefined) return broken ? 'no response, and nothing was sent' : 'a response out of nowhere'
    if (broken) return last.status === 'reset' ? undefined : 'a response that broke on its way'
    if (last.status !== status) return `the upstream said ${last.status}`
    return status === 200 && body !== expected ? 'another body than the upstream sent' : undefined
  }

  function judgeOwn (last, { credential, startedAt }, { status, headers, body }) {
    const code = codeOf(body)
    if (code === 'CS_UPSTREAM_UNREACHABLE') return last?.status === 'reset' ? undefined : 'an upstream that responded is called unreachable'
    if (last !== undefined) return `the upstream said ${last.status}`
    const now = Date.now()
    if (ledger.usable(credential, startedAt, now)) return 'an error although a usable token was there'
    if (code === 'CS_CREDENTIAL_REJECTED') return undefined
    if (code !== 'CS_TOKEN_UNAVAILABLE') return `an error that nothing explains: ${body}`
    const retryAfter = Number(headers['retry-after'])
    if (!(retryAfter >= 1 && retryAfter <= LONGEST_RETRY_AFTER_S)) return `Retry-After: ${headers['retry-after']}`
    const recoveryMs = now - (fairSince(credential) ?? now)
    longestRecoveryMs = Math.max(longestRecoveryMs, recoveryMs)
    return recoveryMs > RECOVERY_MS ? `no token ${Math.round(recoveryMs / 1000)} s after the provider's return` : undefined
  }

  function condemn (credential, problem, details = {}) {
    wrong += 1
    if (wrong <= SHOWN) say(`WRONG  ${credential}: ${problem} ${JSON.stringify(details)}`)
  }

  function count (what) {
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
}

function codeOf (body) {
  return /"code":"(CS_\w+)"/.exec(body)?.[1] ?? 'without a code'
}

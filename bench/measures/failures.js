/**
 * Peers that fail while they are measured: a long run goes on without them, and names them. They are left out of all figures of
 * that part, since what is compared must have been there in every round. Ours may not fail.
 */
export function createFailures (say) {
  const reasons = {}
  return {
    reasons,
    has: (name) => name in reasons,
    /** Runs `action` for each contender of a field, in this order, without those that failed or now do. */
    async each (field, action) {
      for (const contender of field) {
        if (contender.name in reasons) continue
        try {
          await action(contender)
        } catch (error) {
          if (contender.ours) throw error
          reasons[contender.name] = error.message
          say(`${contender.name} failed: ${error.message}`)
        }
      }
    },
    /** Removes from figures by name what belongs to those that failed. */
    strike (figures) {
      for (const name of Object.keys(reasons)) delete figures[name]
    }
  }
}

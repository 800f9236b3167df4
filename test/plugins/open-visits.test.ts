import fc from 'fast-check'
import t from 'tap'
import { OpenVisits } from '#src/plugins/open-visits.ts'
import type { Visit } from '#src/plugins/visit.ts'

t.test('what was added and not removed is there, once', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat())), (steps) => {
    const visits = new OpenVisits()
    const open: Visit[] = []
    for (const [adds, which] of steps) {
      if (adds || open.length === 0) {
        const visit = { place: -1 } as Visit // the only field that counts here
        open.push(visit)
        visits.add(visit)
      } else {
        const [visit] = open.splice(which % open.length, 1)
        if (visit !== undefined) visits.remove(visit)
      }
      if (visits.size !== open.length) return false
    }
    const left = [...visits]
    return left.length === open.length && open.every((visit) => left.includes(visit))
  }))
  t.pass()
})

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'

t.test(
  'whatever happens, there is one fetch at a time, no dead token, a next step, and a bound on attempts; and it recovers',
  async (t) => {
    // In a thread, since tap follows each promise of this one: hundreds of thousands of them take twice their time under it.
    t.same(await once(new Worker(new URL('refresher-model.js', import.meta.url)), 'exit'), [0])
  }
)

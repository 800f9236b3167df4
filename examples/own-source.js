/** Tokens of a provider that no configuration file knows, kept fresh by the proxy like all others. */
import { TokenError, createProxy } from 'countersign'

const vault = {
  async token (signal) {
    const response = await fetch(process.env.VAULT_URL, { method: 'POST', signal })
    // The class says what follows: a permanent refusal is not tried again for minutes, a transient failure is.
    if (response.status === 403) throw new TokenError('permanent', 'Forbidden', 'The vault refuses this machine.')
    if (!response.ok) throw new TokenError('transient', 'VaultFailed', `The vault answered ${response.status}.`)
    const { token, ttlSeconds } = await response.json()
    return { value: token, lifetimeMs: ttlSeconds * 1000 }
  }
}

const proxy = createProxy({
  config: {
    credentials: { prices: { type: 'custom', source: vault } },
    routes: [{ prefix: '/', upstream: process.env.PRICES_URL, credential: 'prices' }]
  },
  listen: '127.0.0.1:0',
  admin: 'off'
})

await proxy.start()
const response = await fetch(`${proxy.url}/prices`)
console.log(response.status, (await response.json()).verdict)
await proxy.stop()

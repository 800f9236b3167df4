/** A fetch that carries an API key and a token, as OpenZeppelin Defender wants them, without a proxy. */
import { createFetch, createRefresher, createTokenSource } from 'countersign'

const { ORDERS_URL, USER_POOL_ID, CLIENT_ID, ENDPOINT, API_KEY, API_SECRET } = process.env

const refresher = createRefresher(createTokenSource({
  type: 'defender-relayer',
  apiKey: API_KEY,
  apiSecret: API_SECRET,
  // Leave these three out for Defender itself.
  userPoolId: USER_POOL_ID,
  clientId: CLIENT_ID,
  endpoint: ENDPOINT
}))
const fetchOrders = createFetch(refresher, [
  { type: 'apiKey', in: 'header', name: 'X-Api-Key', value: API_KEY },
  { type: 'http', scheme: 'bearer' }
], { base: ORDERS_URL })

const response = await fetchOrders('/orders', { method: 'POST', body: JSON.stringify({ item: 1 }) })
console.log(response.status, (await response.json()).verdict)
// Credentials go below the base, and nowhere else.
await fetchOrders('https://elsewhere.example/').catch((error) => { console.log(error.message) })
refresher.stop()

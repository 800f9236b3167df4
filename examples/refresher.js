/** A token that stays usable, for a client that has a way of its own to send it. */
import { createRefresher, createTokenSource } from 'countersign'

const { ORDERS_URL, USER_POOL_ID, CLIENT_ID, ENDPOINT, PASSWORD } = process.env

const source = createTokenSource({
  type: 'cognito',
  userPoolId: USER_POOL_ID,
  clientId: CLIENT_ID,
  username: 'orders-batch',
  password: PASSWORD,
  endpoint: ENDPOINT
})
const refresher = createRefresher(source, { name: 'orders', onFetch: ({ kind, outcome }) => { console.log(`${kind}: ${outcome}`) } })

// At once where a token is held, else after the login; ask for it with each request.
const { value } = await refresher.get()
const response = await fetch(ORDERS_URL, { headers: { authorization: `Bearer ${value.reveal()}` } })
console.log(response.status, refresher.status().state)
// A 401 replaces the token; nothing else has to be done about its life.
if (response.status === 401) refresher.reject(refresher.current())
refresher.stop()

/** The whole proxy in a program of one's own. Run it with ORDERS_… and PASSWORD of your user pool in the environment. */
import { createProxy } from 'countersign'

const { ORDERS_URL, USER_POOL_ID, CLIENT_ID, ENDPOINT } = process.env

const proxy = createProxy({
  // The shape of the configuration file, ${NAME} included.
  config: {
    credentials: {
      orders: {
        type: 'cognito',
        userPoolId: USER_POOL_ID,
        clientId: CLIENT_ID,
        username: 'orders-batch',
        password: '${PASSWORD}',
        endpoint: ENDPOINT
      }
    },
    routes: [{ prefix: '/orders', upstream: ORDERS_URL, credential: 'orders' }]
  },
  listen: '127.0.0.1:0',
  admin: 'off',
  log: { info () {}, warn: console.warn, error: console.error }
})

await proxy.start()
const response = await fetch(`${proxy.url}/orders/1`)
console.log(response.status, (await response.json()).verdict)
console.log(proxy.status().credentials.map(({ name, state }) => `${name}: ${state}`).join(', '))
await proxy.stop()

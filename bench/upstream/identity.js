/** Identity providers in a process of their own: Cognito with `N` users, and a token endpoint of OAuth 2.0 that knows everybody. */
import { createServer } from 'node:http'
import { startCognitoEmulator } from '../../dist/demo/cognito-emulator.js'

export const POOL = 'us-west-2_Bench1'
export const CLIENT = 'bench'

/** A user's credential, as a configuration writes it. */
export function cognitoCredential (id, endpoint) {
  return { type: 'cognito', userPoolId: POOL, clientId: CLIENT, username: `user-${id}`, password: `password of user-${id}`, endpoint }
}

if (process.argv[1] === import.meta.filename) {
  const users = Array.from({ length: Number(process.argv[2]) }, (_, id) => ({ username: `user-${id}`, password: `password of user-${id}` }))
  const cognito = await startCognitoEmulator({ pools: [{ id: POOL, clients: [{ id: CLIENT }], users }] })
  let issued = 0
  const oauth2 = createServer((request, response) => {
    request.resume().once('end', () => {
      issued += 1
      const body = JSON.stringify({ access_token: `token-${issued}`, token_type: 'Bearer', expires_in: 3600 })
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
    })
  })
  oauth2.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ cognito: cognito.url, tokenUrl: `http://127.0.0.1:${oauth2.address().port}/token` }))
  })
}

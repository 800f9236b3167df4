import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { formatTimestamp } from '#src/token/cognito/timestamp.ts'
import { replaceModPow, type BigIntegerClass, type BigIntegerLike } from '#src/token/cognito/mod-pow.ts'

/** The parameters of a PASSWORD_VERIFIER challenge. */
export interface ChallengeParameters {
  readonly SALT: string
  readonly SRP_B: string
  readonly SECRET_BLOCK: string
  readonly USER_ID_FOR_SRP: string
}

/** The client's half of SRP, by amazon-cognito-identity-js as shipped: nothing of ours computes here. */
export interface SrpClient {
  readonly A: string
  /** ChallengeResponses of step 2. */
  readonly respond: (challenge: ChallengeParameters, password: string, timestamp?: string) => Record<string, string>
}

export function createSrpClient (poolName: string): SrpClient {
  const helper = new AuthenticationHelper(poolName)
  let A = ''
  helper.getLargeAValue((_, value) => { A = value.toString(16) })
  return {
    A,
    respond: ({ SALT, SRP_B, SECRET_BLOCK, USER_ID_FOR_SRP }, password, timestamp = formatTimestamp(Date.now(), undefined)) => {
      let key = Buffer.alloc(0)
      helper.getPasswordAuthenticationKey(USER_ID_FOR_SRP, password, new BigInteger(SRP_B, 16), new BigInteger(SALT, 16), (_, bytes) => {
        key = Buffer.from(bytes)
      })
      const claim = [Buffer.from(poolName + USER_ID_FOR_SRP, 'utf8'), Buffer.from(SECRET_BLOCK, 'base64'), Buffer.from(timestamp, 'utf8')]
      return {
        USERNAME: USER_ID_FOR_SRP,
        PASSWORD_CLAIM_SECRET_BLOCK: SECRET_BLOCK,
        PASSWORD_CLAIM_SIGNATURE: createHmac('sha256', key).update(Buffer.concat(claim)).digest('base64'),
        TIMESTAMP: timestamp
      }
    }
  }
}

/** Lets the library of this thread compute with OpenSSL, for tests with many logins; srp-vectors.test.ts proves the two equal. */
export function computeFast (): boolean {
  return replaceModPow(BigInteger)
}

interface Helper {
  readonly getLargeAValue: (callback: (error: Error | null, A: BigIntegerLike) => void) => void
  readonly getPasswordAuthenticationKey: (
    user: string,
    password: string,
    B: BigIntegerLike,
    salt: BigIntegerLike,
    callback: (error: Error | null, key: Uint8Array) => void
  ) => void
}

const load = createRequire(import.meta.url)
const { default: BigInteger } = load('amazon-cognito-identity-js/lib/BigInteger.js') as { default: BigIntegerClass }
const { default: AuthenticationHelper } = load('amazon-cognito-identity-js/lib/AuthenticationHelper.js') as {
  default: new (poolName: string) => Helper
}

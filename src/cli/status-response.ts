/** The part of `/status` that is printed (contract section 7). */
export interface Status {
  readonly version: string
  readonly startedAt: string
  readonly ready: boolean
  readonly credentials: ReadonlyArray<{
    readonly name: string
    readonly type: string
    readonly state: string
    readonly expiresAt: string | null
    readonly refreshAt: string | null
    readonly logins: number
    readonly refreshes: number
    readonly failures: number
    readonly lastError: { readonly code: string, readonly message: string, readonly at: string } | null
  }>
  readonly routes: ReadonlyArray<{
    readonly prefix: string | null
    readonly listen: string
    readonly upstream: string
    readonly credential: string | null
    readonly schemes: readonly string[]
  }>
}

type Test = (value: unknown) => boolean

const isText: Test = (value) => typeof value === 'string'
const isCount: Test = (value) => typeof value === 'number'
const isFlag: Test = (value) => typeof value === 'boolean'
const orNull = (test: Test): Test => (value) => value === null || test(value)
const listOf = (test: Test): Test => (value) => Array.isArray(value) && value.every(test)
const objectOf = (fields: Readonly<Record<string, Test>>): Test => (value) => {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([name, test]) => Object.hasOwn(value, name) && test(Reflect.get(value, name)))
  )
}

const isWhole = objectOf({
  version: isText,
  startedAt: isText,
  ready: isFlag,
  credentials: listOf(
    objectOf({
      name: isText,
      type: isText,
      state: isText,
      expiresAt: orNull(isText),
      refreshAt: orNull(isText),
      logins: isCount,
      refreshes: isCount,
      failures: isCount,
      lastError: orNull(objectOf({ code: isText, message: isText, at: isText }))
    })
  ),
  routes: listOf(
    objectOf({ prefix: orNull(isText), listen: isText, upstream: isText, credential: orNull(isText), schemes: listOf(isText) })
  )
})

/** Whether a value has every field of a Countersign's status; further fields may be a newer version's. */
export function isStatus (value: unknown): value is Status {
  return isWhole(value)
}

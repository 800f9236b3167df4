import type { CredentialInputs } from '../config/credential/schema.ts'
import type { FileInput } from '../config/schema.ts'
import type { Secret } from '../secret.ts'
import type { CustomSource } from '../token/custom.ts'

/** Values of a file in a program: wherever the file has text, a `Secret` may stand too. */
export type OrSecret<Value> =
  Value extends string ? (string extends Value ? string | Secret : Value)
    : Value extends ReadonlyArray<infer Item> ? ReadonlyArray<OrSecret<Item>>
      : Value extends object ? { readonly [Key in keyof Value]: OrSecret<Value[Key]> }
        : Value

/** A credential whose tokens a program gets by itself. No file may have it. */
export interface CustomCredentialInput {
  readonly type: 'custom'
  readonly source: CustomSource
}

/**
 * A credential as the configuration file has it, told apart by `type`: `cognito`, `defender-relayer`, `defender-admin`, `oauth2` or
 * `static`, with the keys that the README's table of credentials lists; or `{ type: 'custom', source }` with an own {@link CustomSource}.
 *
 * @example
 * const credential = {
 *   type: 'oauth2',
 *   tokenUrl: 'https://id.example.com/token',
 *   clientId: 'orders',
 *   clientSecret: new Secret(await readFile('/run/secrets/orders', 'utf8'))
 * }
 */
export type CredentialInput = OrSecret<CredentialInputs> | CustomCredentialInput

/**
 * A configuration in the shape of the file: the same keys, defaults and checks. `${NAME}` in a string is replaced as in the file;
 * a `Secret` may stand in place of a string and is taken as it is, `${` included. Relative paths start from `cwd`.
 */
export type ConfigInput = Omit<OrSecret<FileInput>, 'credentials'> & {
  readonly credentials?: Readonly<Record<string, CredentialInput>> | undefined
}

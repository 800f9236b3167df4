import type { Problem } from '../config.ts'
import type { ConfigDocument } from '../read/document.ts'
import { formatPath, type Path } from '../problem.ts'
import type { SecretLookup } from '../read/secrets.ts'

/** Variables that together make a credential and a route. */
interface VariableSet {
  readonly credential: string
  readonly type: string
  readonly prefix: string
  /** Field of the credential → its variable. */
  readonly fields: Readonly<Record<string, string>>
  readonly optional: Readonly<Record<string, string>>
  /** The variable of the route's upstream, where the type brings none along. */
  readonly upstream?: string
}

const SETS: readonly VariableSet[] = [
  {
    credential: 'relayer',
    type: 'defender-relayer',
    prefix: '/relayer',
    fields: { apiKey: 'RELAYER_API_KEY', apiSecret: 'RELAYER_API_SECRET' },
    optional: {}
  },
  {
    credential: 'admin',
    type: 'defender-admin',
    prefix: '/admin',
    fields: { apiKey: 'ADMIN_API_KEY', apiSecret: 'ADMIN_API_SECRET' },
    optional: {}
  },
  {
    credential: 'default',
    type: 'cognito',
    prefix: '/',
    fields: {
      userPoolId: 'COGNITO_USER_POOL_ID',
      clientId: 'COGNITO_CLIENT_ID',
      username: 'COGNITO_USERNAME',
      password: 'COGNITO_PASSWORD'
    },
    optional: { clientSecret: 'COGNITO_CLIENT_SECRET', endpoint: 'COGNITO_ENDPOINT' },
    upstream: 'COUNTERSIGN_UPSTREAM'
  }
]

export interface FromEnvironment {
  /** Absent where no variable of any set is there. */
  readonly document?: ConfigDocument
  readonly problems: readonly Problem[]
}

/**
 * Makes a configuration of the variables alone: one credential and one route for each set that is there. Its places are the variables'
 * names.
 */
export function documentFromEnvironment (secrets: SecretLookup): FromEnvironment {
  const problems: Problem[] = []
  const sources = new Map<string, string>()
  const broken = new Set<string>()
  const credentials: Record<string, unknown> = {}
  const routes: unknown[] = []
  for (const set of SETS) {
    const required = { ...set.fields, ...(set.upstream !== undefined && { '': set.upstream }) }
    const present = [...Object.values(required), ...Object.values(set.optional)].filter(secrets.has)
    const [first] = present
    if (first === undefined) continue
    const routePath = ['routes', routes.length]
    const credentialPath = ['credentials', set.credential]
    sources.set(formatPath(routePath), set.upstream ?? first)
    sources.set(formatPath(credentialPath), first)
    const credential: Record<string, unknown> = { type: set.type }
    for (const [field, name] of Object.entries({ ...set.fields, ...set.optional })) {
      const value = read(name, [...credentialPath, field], field in set.fields, first)
      if (value !== undefined) credential[field] = value
    }
    credentials[set.credential] = credential
    const upstream = set.upstream === undefined ? undefined : read(set.upstream, [...routePath, 'upstream'], true, first)
    routes.push({ prefix: set.prefix, credential: set.credential, ...(upstream !== undefined && { upstream }) })
  }
  if (routes.length === 0) return { problems }
  return { document: { value: { credentials, routes }, place, template: () => undefined, broken }, problems }

  // The name stands in for a value that is not known, so that the rest of the set is checked too.
  function read (name: string, path: Path, required: boolean, present: string): string | undefined {
    sources.set(formatPath(path), name)
    if (!secrets.has(name)) {
      if (!required) return undefined
      problems.push({
        severity: 'error',
        source: name,
        message: `is not set, though ${present} is; set it (or ${name}_FILE), or remove the other variables of the set`
      })
      broken.add(formatPath(path))
      return name
    }
    const secret = secrets.find(name)
    if (secret.ok) return secret.value
    problems.push({ severity: 'error', source: name, message: secret.reason })
    broken.add(formatPath(path))
    return name
  }

  function place (path: Path): { source: string } {
    for (let length = path.length; length > 0; length--) {
      const source = sources.get(formatPath(path.slice(0, length)))
      if (source !== undefined) return { source }
    }
    return { source: 'environment' }
  }
}

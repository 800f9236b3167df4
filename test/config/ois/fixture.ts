import type { Test } from 'tap'
import type { RouteConfig } from '#src/config/config.ts'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'

export const KEY = { type: 'apiKey', in: 'header', name: 'X-Key' }
export const BEARER = { type: 'http', scheme: 'bearer' }
export const BASIC = { type: 'http', scheme: 'basic' }

/** A partial OIS that turns its schemes on. */
export function oisOf (
  title: string,
  schemes: Readonly<Record<string, unknown>> = {},
  specifications: object = {},
  more: object = {}
): object {
  return {
    title,
    apiSpecifications: {
      servers: [{ url: 'https://api.example.com' }],
      components: { securitySchemes: schemes },
      security: Object.fromEntries(Object.keys(schemes).map((name) => [name, []])),
      ...specifications
    },
    ...more
  }
}

export function valueFor (oisTitle: string, securitySchemeName: string, securitySchemeValue: unknown = 'v4lue'): object {
  return { oisTitle, securitySchemeName, securitySchemeValue }
}

/** Every problem as `path  message`. */
export function problemsOf (t: Test, file: object | string, env: NodeJS.ProcessEnv = {}): string[] {
  return linesOf(loadFile(t, file, env)).map((line) => line.split('  ').slice(1).join('  '))
}

export function routesOf (t: Test, file: object | string, env: NodeJS.ProcessEnv = {}): readonly RouteConfig[] {
  return configOf(loadFile(t, file, env)).routes
}

/** The bindings of a route as text, fixed values revealed. */
export function bindingsOf (route: RouteConfig | undefined): string[] {
  return (route?.bindings ?? []).map(({ scheme, value }) => {
    const target = Object.values(scheme).join(' ')
    if (value.type === 'fixed') return `${target} = ${value.credential}: ${value.value.reveal()}`
    if (value.type === 'token') return `${target} = token of ${value.credential}`
    const { source } = value
    return `${target} = ${value.kind} ${source.type}${source.type === 'fixed' ? ` ${source.value}` : source.type === 'header' ? ` ${source.name}` : ''}`
  })
}

/** Asserts that there is one line for each pattern, and no other (`t.match` would let further ones pass). */
export function exactly (t: Test, lines: readonly string[], patterns: readonly RegExp[], message?: string): void {
  t.match(lines, patterns, message ?? '')
  t.equal(lines.length, patterns.length, `no further line: ${lines.join('\n')}`)
}

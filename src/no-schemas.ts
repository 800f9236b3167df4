import type { FastifyServerOptions } from 'fastify'

/** For Fastify: no route has a JSON schema, so nothing that compiles them is loaded. That took an eighth of a start. */
export const NO_SCHEMAS: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: { buildValidator: refuse, buildSerializer: refuse }
}

function refuse (): never {
  throw new TypeError('no route has a schema')
}

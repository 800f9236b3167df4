import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parseJsonc } from '../../src/config/jsonc.ts'
import { loadConfig } from '../../src/config/load.ts'
import { FileSchema, RouteSchema } from '../../src/config/schema.ts'
import { valueAt } from '../../src/config/shape.ts'
import { configOf, linesOf } from './load-fixture.ts'

const folder = fileURLToPath(new URL('../../config/', import.meta.url))

t.test('the annotated example loads with the example secrets, without a warning', async (t) => {
  const secrets = join(t.testdir(), 'secrets.env')
  copyFileSync(join(folder, 'secrets.example.env'), secrets)
  chmodSync(secrets, 0o600)
  const result = loadConfig({ env: {}, cwd: folder, options: { config: 'countersign.example.jsonc', secrets } })
  t.same(linesOf(result), [])
  const { credentials, routes } = configOf(result)
  t.same([...credentials.keys()], ['orders', 'relayer', 'team', 'maps', 'reports'])
  t.same(routes.map(({ prefix }) => prefix), ['/orders', '/relayer', '/team', '/maps', '/gateway', '/reports', '/local'])
})

t.test('the annotated example shows every key of the top level and of a route', async (t) => {
  const text = readFileSync(join(folder, 'countersign.example.jsonc'), 'utf8')
  const value = parseJsonc(text).document?.value
  t.same(Object.keys(FileSchema.shape).filter((key) => valueAt(value, [key]) === undefined), [])
  t.same(Object.keys(RouteSchema.shape).filter((key) => !text.includes(`"${key}"`)), [])
})

t.test('the OpenZeppelin Relayer example loads with its one secret', async (t) => {
  const result = loadConfig({ env: { OPENZEPPELIN_RELAYER_API_KEY: 'a-key' }, cwd: folder, options: { config: 'openzeppelin-relayer.example.jsonc' } })
  t.same(linesOf(result), [])
  const [route] = configOf(result).routes
  t.match(route, { prefix: '/relayer', upstream: 'http://relayer.internal:8080', bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token' } }] })
})

/**
 * Writes Node's compiled code to its cache for later starts: a daemon may be killed before Node does so at its end. Works only
 * where NODE_COMPILE_CACHE names a directory; none is ever chosen here (docs/decisions/0018-start.md).
 */
export function keepCompiled (): void {
  const module = process.getBuiltinModule('node:module')
  // Not in Node 20. Without a directory, and where it cannot be written, it does nothing.
  const flush: unknown = Reflect.get(module, 'flushCompileCache')
  if (typeof flush === 'function') flush.call(module)
}

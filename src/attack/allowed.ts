import { isAllowed } from '../auth/allow.ts'
import type { Target } from './attack.ts'

/** The path as a list of one; empty where the owner's allow list lets the path through, by a wildcard for example. */
export function held ({ allow = [], plain }: Target, path: string, method = plain.method): string[] {
  return isAllowed(allow, method, path.split('?')[0] ?? '') ? [] : [path]
}

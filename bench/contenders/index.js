/**
 * Who is compared. A contender has a `name`, a `version ()` that is undefined where it is not installed, and `start (setup)`
 * for `{ node, origin, token, folder }`, which resolves as `startProcess` does, with the port in `said`. Each strips the prefix
 * `/api`, sends the token as a bearer token, and keeps its connections on both sides.
 */
import { caddy } from './caddy.js'
import { countersign, countersignQuiet } from './countersign.js'
import { go } from './go.js'
import { haproxy } from './haproxy.js'
import { nginx } from './nginx.js'
import { onNode } from './node.js'

export const CONTENDERS = [countersign, countersignQuiet, ...onNode, caddy, go, haproxy, nginx]

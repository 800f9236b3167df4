import type { RawHeaders } from './headers.ts'

// Fetch standard, "destination": those of a navigation, be it within a frame.
const DOCUMENTS: ReadonlySet<string> = new Set(['document', 'iframe', 'frame', 'fencedframe', 'embed', 'object'])

/**
 * Whether a browser will show the response as a page: by `Sec-Fetch-*`, and where a browser sends none (it does so only to
 * addresses that it trusts, such as loopback) by what all of them send when they navigate.
 */
export function isNavigation (headers: RawHeaders): boolean {
  const mode = valueOf(headers, 'sec-fetch-mode')
  const destination = valueOf(headers, 'sec-fetch-dest')
  if (mode !== undefined || destination !== undefined) return mode === 'navigate' || DOCUMENTS.has(destination ?? '')
  return valueOf(headers, 'upgrade-insecure-requests') !== undefined || valueOf(headers, 'accept')?.includes('text/html') === true
}

/** Whether a browser asks for the script of a service worker (Service Workers, "Service-Worker request header"). */
export function isServiceWorkerScript (headers: RawHeaders): boolean {
  return valueOf(headers, 'service-worker') !== undefined || valueOf(headers, 'sec-fetch-dest') === 'serviceworker'
}

/** All values of a header in one, in lower case; undefined where it has none. */
function valueOf (headers: RawHeaders, lower: string): string | undefined {
  let found: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.length !== lower.length || name.toLowerCase() !== lower) continue
    const value = (headers[index + 1] ?? '').trim().toLowerCase()
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

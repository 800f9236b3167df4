import { has, valueOf, type RawHeaders } from './raw-headers.ts'

// Fetch standard, "destination": those of a navigation, be it within a frame.
const DOCUMENTS: ReadonlySet<string> = new Set(['document', 'iframe', 'frame', 'fencedframe', 'embed', 'object'])

/**
 * Whether a browser will show the response as a page: by `Sec-Fetch-*`, and where a browser sends none (it does so only to
 * addresses that it trusts, such as loopback) by what all of them send when they navigate.
 */
export function isNavigation (headers: RawHeaders): boolean {
  const mode = lowerValueOf(headers, 'sec-fetch-mode')
  const destination = lowerValueOf(headers, 'sec-fetch-dest')
  if (mode !== undefined || destination !== undefined) return mode === 'navigate' || DOCUMENTS.has(destination ?? '')
  return has(headers, 'upgrade-insecure-requests') || lowerValueOf(headers, 'accept')?.includes('text/html') === true
}

/** Whether a browser asks for the script of a service worker (Service Workers, "Service-Worker request header"). */
export function isServiceWorkerScript (headers: RawHeaders): boolean {
  return has(headers, 'service-worker') || lowerValueOf(headers, 'sec-fetch-dest') === 'serviceworker'
}

function lowerValueOf (headers: RawHeaders, lower: string): string | undefined {
  return valueOf(headers, lower)?.trim().toLowerCase()
}

import { passed, type Attack, type Target } from './attack.ts'
import { EVIL, request } from './request.ts'

/** Attacks on the header fields that a route injects: stripped, doubled, or imitated. */
export const INJECTED: readonly Attack[] = [
  {
    id: 'H1',
    name: 'what is injected, named in Connection',
    advisory: 'CVE-2026-33805, CVE-2025-48865',
    why: 'A proxy that removes Connection-listed headers last removes the credential too, and the upstream sees the request of nobody, or of somebody else.',
    variants: (target) =>
      [
        ...headerNames(target),
        'Host',
        'Cookie',
        'Content-Length',
        'Transfer-Encoding',
        'X-Countersign-Token',
        'Proxy-Authorization',
        '__proto__'
      ].flatMap((name) =>
        [
          [`Connection: close, ${name}`],
          [`Connection: ${name}`],
          ['Connection: keep-alive', `Connection: ${name}`],
          [`connection: ${name.toUpperCase()}, ${name.toLowerCase()}`],
          [`Connection: ,, ${name} ,`],
          [`Connection:\t${name}\t`],
          [`Connection: ${name.replaceAll('-', '_')}`],
          [`Proxy-Connection: ${name}`],
          [`Keep-Alive: ${name}`],
          [`Connection: ${name};q=1`],
          [`Connection: "${name}"`],
          [`Connection: close, ${name}`, `${name}: ${EVIL}`]
        ]
          .filter(
            (lines) =>
              lines.length === 1 || !/^(?:Host|Content-Length|Transfer-Encoding|X-Countersign-Token|Proxy-Authorization)$/.test(name)
          )
          .map((lines) => ({ what: lines.join(', '), bytes: request(target, { lines }), must: passed() }))
      )
  },
  {
    id: 'H2',
    name: 'look-alikes of what is injected',
    advisory: 'CVE-2025-64484',
    why: "Upstreams behind CGI, WSGI and many frameworks read X_Api_Key as X-Api-Key: the client's value stands beside ours, or before it.",
    variants: (target) =>
      headerNames(target).flatMap((name) =>
        [
          name.replaceAll('-', '_'),
          name.replaceAll('-', '.'),
          name.replaceAll('-', '~'),
          name.replaceAll('-', '!').toUpperCase(),
          name.replaceAll('-', '_').toUpperCase(),
          name.replace('-', '_').toLowerCase(),
          name.toUpperCase(),
          name.toLowerCase(),
          alternate(name)
        ]
          .flatMap((spelling) => [
            [`${spelling}: ${EVIL}`],
            [`${spelling}: ${EVIL}`, `${spelling}: ${EVIL}`],
            [`${spelling}:`],
            [`${spelling}: `, `${spelling}: ${EVIL}`]
          ])
          .map((lines) => ({ what: lines.join(', '), bytes: request(target, { lines }), must: passed({ without: [EVIL] }) }))
      )
  },
  {
    id: 'H3',
    name: "the client's own credentials beside ours",
    advisory: 'Dapr Header.Add',
    why: 'Two Authorization headers: which one counts differs between the upstream and what stands in front of it.',
    variants: (target) =>
      target.injected.length === 0
        ? []
        : [
            ['Authorization'],
            ['authorization'],
            ['AUTHORIZATION'],
            ['aUTHORIZATION'],
            ['Authorization', 'Authorization'],
            ['Authorization', 'authorization'],
            ['Authorization', 'Proxy-Authorization'].slice(0, target.callerToken === undefined ? 2 : 1)
          ].flatMap((names) =>
            ['Bearer', 'Basic', 'Digest username=', ''].map((scheme) => {
              const lines = names.map((name) => `${name}: ${scheme} ${EVIL}`)
              return { what: lines.join(', '), bytes: request(target, { lines }), must: passed({ without: [EVIL] }) }
            })
          )
  }
]

/** Header names that the route writes, and Authorization where it writes anything. */
export function headerNames ({ injected }: Target): string[] {
  const names = injected.filter((one) => one.in === 'header').map(({ name }) => name)
  return injected.length === 0 || names.some((name) => name.toLowerCase() === 'authorization') ? names : [...names, 'Authorization']
}

function alternate (name: string): string {
  return [...name].map((letter, index) => index % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase()).join('')
}

import { cutOff, either, passed, refused, type Attack, type Must } from './attack.ts'
import { prefixVariants } from './prefixes.ts'
import { EVIL, EVIL_HOST, ownHost, request } from './request.ts'

/** Two dots, or one, in every spelling that some reader resolves. */
const DOTS = [
  '..', '.',
  '%2e%2e',
  '%2E%2E',
  '.%2e',
  '%2e.',
  '%2e',
  '%252e%252e',
  '%25252e%25252e',
  '.%252e',
  '%2525252e%2525252e',
  '..;',
  '..;a=b',
  '.;',
  '%2e%2e;',
  '..%3b',
  '..%3Ba=b',
  '%2e%2e%3b',
  '..%20',
  '%20..',
  '..%3f',
  '..%23',
  '..%253f',
  '..%252f..',
  '..%2f..',
  '..%5c..',
  '..%5C..',
  '..\\..',
  '%2e%2e%2f',
  '%2e%2e%5c',
  '%252e%252e%252f',
  '..%25%35%63',
  '%c0%ae%c0%ae',
  '%c0%2e%c0%2e',
  '%e0%80%ae%e0%80%ae',
  '%f0%80%80%ae%f0%80%80%ae',
  '..%c0%af',
  '..%e0%80%af',
  '%u002e%u002e',
  '%%32%65%%32%65',
  '..%00',
  '%00..',
  '..%0d%0a',
  '..%09',
  '..%ff',
  '%ef%bc%8e%ef%bc%8e',
  '%e2%80%a5',
  '..%ef%bc%8f',
  '..%e2%88%95..',
  '..%01'
]

/** Attacks by a crafted target, on another path of the upstream, another route or another host. */
export const PATHS: readonly Attack[] = [
  {
    id: 'P1',
    name: 'dot segments in every encoding',
    advisory: 'CVE-2021-21321, GHSA-2q7r-29rg-6m5h, CVE-2026-85124',
    why: 'A segment that the proxy takes for a name and the upstream for "one up" leaves the base path, or gets around the allow list.',
    variants: (target) =>
      DOTS.flatMap((dots) =>
        [`/${dots}`, `/a/${dots}/${dots}/private`, `${target.plain.path.replace(/\/$/, '')}/${dots}/private`].map((path) => {
          return { what: path, bytes: request(target, { path }), must: refused([400, 404, 403]) }
        })
      )
  },
  {
    id: 'P2',
    name: 'backslashes, control characters and malformed escapes',
    advisory: 'CVE-2026-85124',
    why: 'Readers that take a backslash for a slash, or stop at a NUL, see another path than the one that was judged.',
    variants: (target) =>
      [
        '\\',
        '/\\',
        '\\x',
        'a\\b',
        '%5c',
        '%5C',
        '%255c',
        'a%5cb',
        '%00',
        'a%00b',
        '%0a',
        '%0d%0aX-A:%201',
        '%0D%0A',
        '%7f',
        '%1f',
        '%09',
        '%',
        '%z',
        '%zz',
        '%2',
        '%%',
        '%a',
        'a%',
        '%ff',
        '%fe',
        '%80',
        '%c3',
        '%c3%28',
        '%ed%a0%80',
        '%f4%90%80%80',
        '%u0041',
        '%x41',
        '#',
        'a#b',
        '#/../x',
        '%E2%28%A1',
        '%0',
        '%-1',
        '%+1',
        '% 41'
      ].map((piece) => {
        const path = `/${piece}`
        return { what: path, bytes: request(target, { path }), must: piece === '%255c' ? either([400, 403]) : refused([400]) }
      })
  },
  {
    id: 'P3',
    name: 'look-alikes and other spellings of the prefix',
    advisory: 'CVE-2026-16117',
    why: 'A prefix that is compared as text, or decoded once too often, sends a request to a route that its spelling does not name.',
    variants: (target) => (target.prefix === '' ? [] : prefixVariants(target))
  },
  {
    id: 'P4',
    name: 'targets that begin with two slashes, or with what may be read so',
    why: "//host is a URL without a scheme: a reader that resolves it goes to another host with this route's credential.",
    variants: (target) =>
      [
        `//${EVIL_HOST}/`,
        `//${EVIL_HOST}${target.prefix}/x`,
        `///${EVIL_HOST}`,
        `/\\${EVIL_HOST}`,
        `\\\\${EVIL_HOST}`,
        `/%5c${EVIL_HOST}`,
        `//${ownHost(target)}${target.prefix}/`,
        '//',
        `/${target.prefix}/x`,
        `/.//${EVIL_HOST}`,
        `/%09/${EVIL_HOST}`,
        `/%2e//${EVIL_HOST}`,
        `/@${EVIL_HOST}/..//`
      ]
        .map((to) => ({ what: to, bytes: request(target, { target: to }), must: refused([400, 404, 421]) }))
        .concat(
          [`//${EVIL_HOST}/`, `/\t/${EVIL_HOST}`].map((path) => ({
            what: `prefix + ${JSON.stringify(path)}`,
            bytes: request(target, { path }),
            must: target.basePath === '' || path.includes('\t') ? refused([400]) : either([400, 403], { target: path })
          }))
        )
  },
  {
    id: 'P7',
    name: "another route's upstream with this route's credential",
    why: 'Where routes share anything that a request can address, a path moves it from one upstream to another.',
    variants: (target) =>
      target.prefix === ''
        ? []
        : ['/../', '%2f..%2f', '/..%2f', '/%2e%2e/', '/..;/', '/.%252e/', '\\..\\', '/a/../../', '//../'].map((way) => {
            const to = `${target.prefix}${way}${EVIL}`
            return { what: to, bytes: request(target, { target: to }), must: refused([400, 404]) }
          })
  },
  {
    id: 'P8',
    name: 'the proxy as a forward proxy',
    why: 'Server-side request forgery: the metadata service of a cloud, or another host, by a target or by CONNECT.',
    variants: (target) =>
      [
        'GET http://169.254.169.254/latest/meta-data/',
        'POST http://169.254.169.254/',
        'CONNECT 169.254.169.254:80',
        `CONNECT ${EVIL_HOST}:443`,
        `CONNECT ${ownHost(target)}`,
        'CONNECT /',
        'OPTIONS *',
        'GET *',
        'GET 169.254.169.254:80',
        `GET ${EVIL_HOST}`,
        'GET ?x',
        'GET @evil',
        'GET x',
        'GET ../x',
        'GET :80/',
        'GET %2f',
        'GET ;/',
        `GET https://${EVIL_HOST}/`,
        `GET ftp://${EVIL_HOST}/`,
        'GET unix:/run/docker.sock',
        'GET localhost'
      ].map((line) => {
        const [method = '', to = ''] = line.split(' ')
        return { what: line, bytes: request(target, { method, target: to }), must: refused([400, 404, 405, 421]) }
      })
  },
  {
    id: 'P9',
    name: 'targets that are no targets',
    why: 'Blanks, raw high bytes and line ends in a target end it for one reader and not for another; sizes cost memory.',
    variants: (target) => {
      const spoiled: ReadonlyArray<readonly [what: string, path: string, must: Must]> = [
        ...['/a b', '/a\tb', '/a\0b', '/a\rb', '/a\nb', '/a\x0bb', '/a\x7fb', '/a\x01b', '/\xff', '/\xc3\xa9', '/\x80'].map(
          (path) => [JSON.stringify(path), path, refused([400])] as const
        ),
        ['64 KiB', `/${'a'.repeat(65_536)}`, cutOff(431)],
        ['64 KiB of query', `/?${'a'.repeat(65_536)}`, cutOff(431)],
        ['64 KiB of escapes', `/${'%41'.repeat(21_845)}`, cutOff(431)],
        ['4,000 dot segments', '/..'.repeat(4000), refused([400])],
        ['deeply nested escapes', `/%${'25'.repeat(1000)}2e`, refused([400, 403])]
      ]
      return spoiled.map(([what, path, must]) => ({ what, bytes: request(target, { path }), must }))
    }
  },
  {
    id: 'P13',
    name: 'a query that looks like a path, and other harmless targets',
    why: 'The query is data. A proxy that repairs what it need not touch breaks signatures, and hides what it lets through.',
    variants: (target) =>
      target.injected.some((one) => one.in === 'query')
        ? []
        : [
            '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d',
            '?../../x',
            '?/../',
            '?%2e%2e%2f',
            '?%zz',
            '?a=\\',
            '?%23',
            '?a=//x',
            '??',
            '?',
            '?;',
            '?a=%00',
            '?x=http://169.254.169.254/',
            '?{}|^`"<>',
            '?%25%32%65'
          ].map((query) => {
            const path = target.plain.path + query
            return { what: query, bytes: request(target, { path }), must: passed({ holds: [`${path} HTTP/1.1`] }) }
          })
  }
]

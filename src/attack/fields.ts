import { either, passed, refused, type Attack, type Injected, type Target, type Variant } from './attack.ts'
import { EVIL, request } from './request.ts'

/** Ways to put a second value beside an injected query parameter, cookie or body field. */
export const FIELDS: readonly Attack[] = [
  {
    id: 'Q1',
    name: 'an injected query parameter, given by the client',
    advisory: 'CVE-2021-23336 for the separator',
    why: "Which of two parameters of a name counts differs between readers; the client's must be gone in every spelling.",
    variants: (target) => target.injected.filter((one) => one.in === 'query').flatMap((injected) => queryVariants(target, injected))
  },
  {
    id: 'Q2',
    name: 'an injected cookie, given by the client',
    advisory: 'CVE-2020-7070 for the encoding',
    why: "Cookies of a name are read first, last or as a list; the client's must be gone, and the others must stay.",
    variants: (target) =>
      target.injected
        .filter((one) => one.in === 'cookie')
        .flatMap(({ name }) =>
          [
            [`${name}=${EVIL}`],
            [`a=1; ${name}=${EVIL}; b=2`],
            [`${name}=${EVIL}; ${name}=${EVIL}`],
            [`${name} =${EVIL}`],
            [`a=1;${name}=${EVIL};b=2`],
            [`a=1;\t${name}\t=${EVIL}; b=2`],
            [name],
            [`${name}=`],
            [`a="x; ${name}=${EVIL}"; b=2`],
            [`;;${name}=${EVIL}`],
            [`${escaped(name)}=${EVIL}`],
            [`a=1; ${name}=${EVIL}`, `${name}=${EVIL}; b=2`],
            [`${name}="${EVIL}"`],
            [`$Version=1; ${name}=${EVIL}; $Path=/`],
            [`${name.toUpperCase()}=${EVIL}`],
            [`"${name}"=${EVIL}`],
            [`=${name}=${EVIL}`],
            [`${name}[]=${EVIL}`],
            [`a=1, ${name}=${EVIL}`]
          ]
            .map((cookies) => ({
              what: cookies.join(' | '),
              bytes: request(target, { lines: cookies.map((cookie) => `Cookie: ${cookie}`) }),
              must: passed({ without: [EVIL] })
            }))
            .concat([
              {
                what: 'other cookies stay',
                bytes: request(target, { lines: ['Cookie: a=1; b=2'] }),
                must: passed({ holds: ['a=1', 'b=2'] })
              }
            ])
        )
  },
  {
    id: 'Q3',
    name: 'an injected body field, given by the client',
    why: 'Duplicate members of JSON and fields of forms are read first or last; escapes in a name hide it from those who look at the text.',
    variants: (target) =>
      target.plain.method !== 'POST' ? [] : target.injected.filter((one) => one.inBody).flatMap(({ name }) => bodyVariants(target, name))
  }
]

function queryVariants (target: Target, { name }: Injected): Variant[] {
  const { path } = target.plain
  return [
    `?${name}=${EVIL}`,
    `?a=1&${name}=${EVIL}&b=2`,
    `?${name}=${EVIL}&${name}=${EVIL}`,
    `?${escaped(name)}=${EVIL}`,
    `?${everyEscaped(name)}=${EVIL}`,
    `?${everyEscaped(name).toLowerCase()}=${EVIL}`,
    `?&&${name}=${EVIL}&&`,
    `?a=1;${name}=${EVIL}`,
    `?a;${escaped(name)}=${EVIL};b=2&c=3`,
    `??${name}=1&${name}=${EVIL}`,
    `?a=%26&${name}=${EVIL}`,
    `?%zz&${name}=${EVIL}`,
    `?a=%&${escaped(name)}=${EVIL}`,
    `?${name}=%zz${EVIL}`,
    `?${name}=a=${EVIL}`,
    `?${name}[]=${EVIL}`,
    `?${name}[a]=${EVIL}`,
    `?${name}%5B%5D=${EVIL}`,
    `?[${name}]=${EVIL}`,
    `?${name}]=${EVIL}`,
    `?${name}%00=${EVIL}`,
    `?+${name}[]=${EVIL}`
  ]
    .map((query) => ({ what: query, bytes: request(target, { path: path + query }), must: passed({ without: [`=${EVIL}`] }) }))
    .concat([
      ...[`?${name}`, `?${name}=`, `?${name}&a=1`, `?+${name}=1`, `?%20${name}=1`].map((query) => ({
        what: query,
        bytes: request(target, { path: path + query }),
        must: passed()
      })),
      // Other names: they stay as they are, and ours is still there once.
      ...[
        `?${name}x=1`,
        `?a[${name}]=1`,
        `?x${name}=1`,
        '?__proto__=1&constructor=2',
        '?a=1&a=2&b=%20+%2B&c=\xc3\xa9&=x&d'.replaceAll('\xc3\xa9', '%C3%A9')
      ].map((query) => ({ what: query, bytes: request(target, { path: path + query }), must: passed({ target: path + query }) }))
    ])
}

function bodyVariants (target: Target, name: string): Variant[] {
  const json = [
    `{"${name}":"${EVIL}"}`,
    `{"a":1,"${name}":"${EVIL}","b":2}`,
    `{"${name}":"${EVIL}","${name}":"${EVIL}"}`,
    `{"${unicode(name)}":"${EVIL}"}`,
    `{"${name}":{"${name}":"${EVIL}"}}`,
    `{ "${name}" : [ "${EVIL}" , 1 ] }`,
    `\xef\xbb\xbf{"${name}":"${EVIL}"}`
  ]
  const forms = [
    `${name}=${EVIL}`,
    `a=1&${name}=${EVIL}`,
    `${escaped(name)}=${EVIL}`,
    `a=1;${name}=${EVIL}`,
    `${name}=${EVIL}&${name}=${EVIL}`,
    `${name}[]=${EVIL}`,
    `${everyEscaped(name)}%5B%5D=${EVIL}`
  ]
  const bodies: ReadonlyArray<readonly [type: string, body: string]> = [
    ...json.map((body) => ['application/json', body] as const),
    ...forms.map((body) => ['application/x-www-form-urlencoded', body] as const)
  ]
  return [
    ...bodies.map(([type, body]) => ({
      what: `${type} ${JSON.stringify(body)}`,
      bytes: request(target, { lines: [`Content-Type: ${type}`, `Content-Length: ${body.length}`], body }),
      must: passed({ without: [EVIL] })
    })),
    ...[`["${EVIL}"]`, `"${EVIL}"`, 'null', '{"a":1', '{"a":1}{"b":2}', "{'a':1}", '{"a":01}'].map((body) => ({
      what: `application/json ${body}`,
      bytes: request(target, { lines: ['Content-Type: application/json', `Content-Length: ${body.length}`], body }),
      must: either([422])
    })),
    ...[
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/json, text/plain',
      'application/xml',
      'application/json; charset=utf-16',
      'application/x-www-form-urlencoded; charset=ibm037',
      'application/x-www-form-urlencoded; charset=utf-8; charset=utf-16',
      'application/json\r\nContent-Type: text/plain',
      'application/json\r\nContent-Encoding: gzip'
    ].map((type) => ({
      what: type,
      bytes: request(target, { lines: [`Content-Type: ${type}`, 'Content-Length: 2'], body: '{}' }),
      must: refused([415, 422], 'CS_BODY_UNSUPPORTED')
    })),
    {
      what: 'in the query of a POST',
      bytes: request(target, { path: `${target.plain.path}?${name}=${EVIL}`, lines: ['Content-Length: 0'] }),
      must: passed({ without: [EVIL] })
    }
  ]
}

/** The first letter percent-encoded. */
function escaped (name: string): string {
  return `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`
}

function everyEscaped (name: string): string {
  return [...name].map((letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`).join('')
}

function unicode (name: string): string {
  return [...name].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}

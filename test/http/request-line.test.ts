import { METHODS } from 'node:http'
import t from 'tap'
import { judgeRequest, requestLineProblem } from '#src/http/request-line.ts'

t.test('a method is one that the parser knows, in its own case', async (t) => {
  for (const method of METHODS.filter((one) => one !== 'TRACE' && one !== 'CONNECT')) {
    t.doesNotThrow(() => judgeRequest(method, '/'), method)
  }
  for (const method of ['LIST', 'FOO', 'PRI', '']) {
    t.throws(() => judgeRequest(method, '/'), { code: 'CS_BAD_REQUEST', message: /none that this proxy knows/ }, method)
  }
  for (const method of ['get', 'Post']) {
    t.throws(() => judgeRequest(method, '/'), { code: 'CS_BAD_REQUEST', message: /case-sensitive/ }, method)
  }
  for (const method of ['TRACE', 'CONNECT']) t.throws(() => judgeRequest(method, '/'), { code: 'CS_METHOD_NOT_ALLOWED' }, method)
})

t.test('what the parser gave up on is named, where it is the request line', async (t) => {
  const problem = (line: string): string | undefined => requestLineProblem(Buffer.from(`${line}\r\nHost: a\r\n\r\n`, 'latin1'))?.message
  t.match(problem('LIST / HTTP/1.1'), /method/)
  t.match(problem('get / HTTP/1.1'), /case-sensitive/)
  t.match(problem('GET /?\xc3\xa9 HTTP/1.1'), /not ASCII/)
  t.match(problem('GET /a b HTTP/1.1'), /blank/)
  t.match(problem('GET /a\tb HTTP/1.1'), /control character/)
  t.match(problem('GET evil.example:443 HTTP/1.1'), /forward proxy/)
  for (const line of ['GET / HTTP/1.1', '\x16\x03\x01', 'GET /', '']) t.equal(problem(line), undefined, line)
  t.equal(requestLineProblem(Buffer.from('LIST / HT')), undefined, 'not whole')
})

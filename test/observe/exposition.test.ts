import t from 'tap'
import { chooseFormat } from '#src/observe/exposition.ts'

t.test('the form is the one that the client likes best', async (t) => {
  const cases: ReadonlyArray<readonly [accept: string, format: 'text' | 'openmetrics']> = [
    ['', 'text'],
    ['*/*', 'text'],
    ['text/html, */*;q=0.8', 'text'],
    ['text/plain', 'text'],
    ['application/openmetrics-text', 'openmetrics'],
    ['Application/OpenMetrics-Text; Version=1.0.0', 'openmetrics'],
    // Prometheus 2 and 3.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics'
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      'openmetrics'
    ],
    ['text/plain;version=0.0.4;q=1,*/*;q=0.1', 'text'],
    ['text/plain, application/openmetrics-text', 'openmetrics'],
    ['text/plain, application/openmetrics-text;q=0.5', 'text'],
    ['application/openmetrics-text;q=0', 'text'],
    ['application/openmetrics-text ; q=0.0, */*', 'text'],
    ['application/openmetrics-text;q=nonsense', 'text'],
    ['application/openmetrics-textual', 'text'],
    ['x-application/openmetrics-text', 'text'],
    [',;,=,;q=,', 'text']
  ]
  for (const [accept, format] of cases) t.equal(chooseFormat(accept), format, accept)
})

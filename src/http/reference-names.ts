/** What HTML calls the characters of ASCII that have a name (HTML standard, section 13.5). */
export const REFERENCE_NAMES: ReadonlyMap<string, readonly string[]> = new Map([
  ['\t', ['Tab']], ['\n', ['NewLine']], ['!', ['excl']], ['"', ['quot', 'QUOT']], ['#', ['num']],
  ['$', ['dollar']], ['%', ['percnt']], ['&', ['amp', 'AMP']], ['\'', ['apos']], ['(', ['lpar']],
  [')', ['rpar']], ['*', ['ast', 'midast']], ['+', ['plus']], [',', ['comma']], ['.', ['period']],
  ['/', ['sol']], [':', ['colon']], [';', ['semi']], ['<', ['lt', 'LT']], ['=', ['equals']],
  ['>', ['gt', 'GT']], ['?', ['quest']], ['@', ['commat']], ['[', ['lsqb', 'lbrack']], ['\\', ['bsol']],
  [']', ['rsqb', 'rbrack']], ['^', ['Hat']], ['_', ['lowbar', 'UnderBar']], ['`', ['grave', 'DiacriticalGrave']], ['{', ['lcub', 'lbrace']],
  ['|', ['verbar', 'vert', 'VerticalLine']], ['}', ['rcub', 'rbrace']]
])

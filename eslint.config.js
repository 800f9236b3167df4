import neostandard from 'neostandard'
import tseslint from 'typescript-eslint'

export default [
  { ignores: ['bin/', 'dist/', 'build/', '.tap/', 'coverage/', 'node_modules/'] },
  ...neostandard({ ts: true }),
  {
    files: ['**/*.{ts,js}'],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // Only what cannot be broken may be longer: a sentence, a pattern, an address.
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
      '@stylistic/arrow-parens': ['error', 'always'],
      '@stylistic/padded-blocks': ['error', 'never'],
      'no-duplicate-imports': 'error'
    }
  },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@stylistic/member-delimiter-style': ['error', { multiline: { delimiter: 'none' }, singleline: { delimiter: 'comma' } }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-deprecated': 'error'
    }
  },
  {
    // tap's own assertions and subtests are promises that tap itself awaits. What else wants types is for code that ships: to
    // work them out for the tests too costs more than all other rules together.
    files: ['test/**/*.ts'],
    languageOptions: { parserOptions: { projectService: false } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-misused-promises': 'off',
      '@typescript-eslint/no-deprecated': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'off'
    }
  },
  {
    // `${NAME}` in a string is what a configuration refers to a secret by.
    files: ['test/**/*.ts', 'bench/**/*.js', 'examples/**/*.js'],
    rules: { 'no-template-curly-in-string': 'off' }
  }
]

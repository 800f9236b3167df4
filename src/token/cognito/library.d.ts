// Two modules of the library that its own types leave out.
declare module 'amazon-cognito-identity-js/lib/DateHelper.js' {
  const module: { default: { prototype: { getNowString: () => string } } }
  export default module
}

declare module 'amazon-cognito-identity-js/lib/BigInteger.js' {
  const module: { default: unknown }
  export default module
}

// One reader of raw HTTP for the tests and for `countersign attack`; it judges nothing, unlike Node's.
export * from '#src/attack/http-reader.ts'

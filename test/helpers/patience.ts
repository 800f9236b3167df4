/**
 * How long a test waits for what must come. Far longer than it ever takes, since the machine may be busy: whoever sees this
 * run out looks at a hang and not at a slow day.
 */
export const PATIENCE_MS = 120_000

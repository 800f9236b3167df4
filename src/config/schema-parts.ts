import * as z from 'zod'

// A timer that is set for longer fires at once (Node's documentation of setTimeout).
const LONGEST_TIMER_MS = 2_147_483_647

export const text = (description: string): z.ZodString => z.string().describe(description)
export const textOrList = (description: string): z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]> =>
  z.union([z.string(), z.array(z.string())]).describe(description)
export const positive = (description: string): z.ZodInt => z.int().positive().describe(description)
export const milliseconds = (description: string): z.ZodInt => z.int().positive().max(LONGEST_TIMER_MS).describe(description)

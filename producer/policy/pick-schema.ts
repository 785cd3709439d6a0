/**
 * A schema that is chosen by looking at the value. Owns that its faults are those of the chosen one, each with its own
 * path: a union would say of one misspelt setting only that nothing fits.
 */
import { z } from 'zod';

/** `pick` returns the schema for a value, or undefined when there is none: then the fault is `expected`. */
export function pickSchema<Output>(
  expected: string,
  pick: (raw: unknown) => z.ZodType<Output> | undefined,
): z.ZodType<Output> {
  return z.unknown().transform((raw, context): Output => {
    const parsed = pick(raw)?.safeParse(raw);
    if (parsed?.success) return parsed.data;
    if (!parsed) context.addIssue({ code: 'custom', message: expected });
    for (const issue of parsed?.error.issues ?? []) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys)
          context.addIssue({ code: 'custom', path: [...issue.path, key], message: 'unknown setting' });
      } else {
        context.addIssue({ code: 'custom', path: issue.path, message: issue.message });
      }
    }
    return z.NEVER;
  });
}

/** True for what YAML and JSON call a mapping. */
export function isMapping(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}

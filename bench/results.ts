/**
 * docs/benchmarks/results.json: everything that was measured, sample by sample, so that the page can be rendered again
 * and one scenario measured anew without losing the others. Each result says by itself when, where and how it was taken.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { invalid } from '../shared/order.ts';

const sampleSchema = z.strictObject({
  case: z.string(),
  group: z.string().optional(),
  round: z.int(),
  /** NaN has no form in JSON: what could not be read is left away. */
  values: z.record(z.string(), z.number()).optional(),
  lists: z.record(z.string(), z.array(z.number())).optional(),
  /** Why there are no values: it cannot be had here, or this round failed. */
  leftOut: z.string().optional(),
  failed: z.string().optional(),
});
export type Sample = z.infer<typeof sampleSchema>;

const resultSchema = z.strictObject({
  measuredAt: z.string(),
  /** What it ran on and with, by name: cores, kernel, versions. */
  machine: z.record(z.string(), z.string()),
  /** Built JavaScript or sources. */
  hobblerRan: z.string(),
  rounds: z.int().min(1),
  /** Length of the longest window. */
  seconds: z.number().positive(),
  /** The most targets that were asked for; null: the scenario's own numbers. */
  targets: z.array(z.int()).nullable(),
  cores: z.int().min(1),
  /** What the machine used before it began, percent of one core. */
  othersPercent: z.number(),
  samples: z.array(sampleSchema),
});
export type ScenarioResult = z.infer<typeof resultSchema>;

const resultsSchema = z.strictObject({ v: z.literal(1), scenarios: z.record(z.string(), resultSchema) });
export type Results = z.infer<typeof resultsSchema>;

export const NO_RESULTS: Results = { v: 1, scenarios: {} };

/** Reads results; none where there is no file yet. Throws invalid-input on one that this bench did not write. */
export function readResults(path: string): Results {
  if (!existsSync(path)) return NO_RESULTS;
  return parseResults(JSON.parse(readFileSync(path, 'utf8')), path);
}

export function parseResults(raw: unknown, where: string): Results {
  const parsed = resultsSchema.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error, raw, where);
  return parsed.data;
}

/** The old results with the new ones in the place of theirs. */
export function mergeResults(old: Results, fresh: Record<string, ScenarioResult>): Results {
  return { v: 1, scenarios: { ...old.scenarios, ...fresh } };
}

/** Digits that are kept: more than any measurement here is good for. */
const DIGITS = 6;

/** One line per sample, so that a diff shows what was measured anew. */
export function formatResults(results: Results): string {
  const number = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value);
  const scenarios = Object.entries(results.scenarios).map(([name, { samples, ...head }]) => {
    const lines = samples.map((sample) => `        ${JSON.stringify(sample, number)}`);
    const text = JSON.stringify(head, null, 2).replace(/\n\}$/, '').replaceAll('\n', '\n    ');
    return `    ${JSON.stringify(name)}: ${text},\n      "samples": [\n${lines.join(',\n')}\n      ]\n    }`;
  });
  return `{\n  "v": 1,\n  "scenarios": {\n${scenarios.join(',\n')}\n  }\n}\n`;
}

export function writeResults(path: string, results: Results): void {
  writeFileSync(path, formatResults(results));
}

/**
 * The `producer.sources` part of hobbler.yaml: where readings come from. Owns what may be set for each source, and the
 * defaults.
 */
import { z } from 'zod';
import { durationMs } from '../../shared/duration.ts';
import { prometheusSchema } from './prometheus/config.ts';

const everyMs = durationMs.refine((ms) => ms >= 100 && ms <= 3_600_000, 'expected 100ms to 1h').prefault('30s');
/** Each path costs a look at the file system every second. */
const paths = z.array(z.string().min(1)).max(64).default([]);

export const sourcesSchema = z.strictObject({
  http: z.boolean().default(true),
  /** JSON lines, read once at the start; `-` is standard input. */
  files: paths,
  /** JSON lines that somebody goes on writing to, through rotation and restarts. */
  follow: paths.refine((all) => !all.includes('-'), 'expected files; standard input goes under files'),
  /** Servers that are asked by PromQL. */
  prometheus: z.array(prometheusSchema).max(32).default([]),
  /** The workers' own count of CPU seconds. */
  meter: z.strictObject({ every: everyMs }).optional(),
});
export type SourcesConfig = z.output<typeof sourcesSchema>;

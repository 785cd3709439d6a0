/**
 * What a worker says of itself and of its targets: the records under `observed` and `status`. Owned by the worker,
 * read by admin, the producer and the CLI. What could not be read is null, never zero (invariant 9).
 */
import { z } from 'zod';
import { MECHANISMS } from './order.ts';

const ratio = z.number().min(0).nullable();

/**
 * What a target is doing: `hobbling` is cycled now; `spared` uses less than its share, so gets no signals; `armed` has
 * no process at present; `held` runs until something is over (a hold or another gate, the host's brake, a mechanism that
 * can do nothing for it now), which the report names; the rest say why nothing is done.
 */
export const targetStates = [
  'hobbling',
  'spared',
  'armed',
  'held',
  'gone',
  'denied',
  'unsupported',
  'refused',
] as const;
export type TargetState = (typeof targetStates)[number];

export const reportSchema = z.looseObject({
  v: z.literal(1),
  target: z.string(),
  account: z.string().nullable(),
  version: z.int(),
  state: z.enum(targetStates),
  /** Why it is in this state, where that needs words. */
  why: z.string().nullable(),
  mechanism: z.enum(MECHANISMS).nullable(),
  mechanismWhy: z.string().nullable(),
  runMs: z.number(),
  stopMs: z.number(),
  processes: z.int(),
  /** Members that another target's loop owns, because its run share is lower (invariant 8). */
  ownedElsewhere: z.int().default(0),
  /** CPU share of one core before the hobble, asked, and measured under it. Null: not known. */
  beforeRatio: ratio,
  askedRatio: z.number(),
  gotRatio: ratio,
  /** False: asked to slow down, and did not. Null: cannot be said yet. */
  effective: z.boolean().nullable(),
  /** CPU share of one core that the worker spends on this target. Null: not known. */
  costRatio: ratio.default(null),
  /** Length of one period as it is carried out: longer than asked where the worker saves its own cost. Null: no phases. */
  periodMs: z.number().nullable().default(null),
  stops: z.int(),
  reason: z.string(),
  by: z.string(),
  sinceMs: z.number(),
  expiresAtMs: z.number(),
  reportedAtMs: z.number(),
});
/** One target as its worker sees it. Times in milliseconds of Redis's clock. */
export type Report = z.infer<typeof reportSchema>;

const NOT_DONE: readonly TargetState[] = ['denied', 'unsupported', 'refused'];

/** Whether an order with this state was given and is not carried out. */
export function isNotDone(state: TargetState): boolean {
  return NOT_DONE.includes(state);
}

/** Whether an order on this target is not carried out, or to no effect: the same for pages, terminal and exit codes. */
export function isTrouble({ state, effective }: Pick<Report, 'state' | 'effective'>): boolean {
  return effective === false || isNotDone(state);
}

export const mechanismProbe = z.object({ supported: z.boolean(), why: z.string() });
export type MechanismProbe = z.infer<typeof mechanismProbe>;

/** What a host exempts, as its configuration says; of long lists the first, and how many more there are. */
export const exemptions = z.object({
  minUid: z.int(),
  users: z.array(z.string()),
  groups: z.array(z.string()),
  cgroups: z.array(z.string()),
  leftOut: z.int(),
});
export type Exemptions = z.infer<typeof exemptions>;

/** Part of the last 10 s in which somebody had to wait for a core, for memory, for a disk. Null: the kernel does not say. */
export const pressure = z.object({ cpu: ratio, memory: ratio, io: ratio });
export type Pressure = z.infer<typeof pressure>;
export const NO_PRESSURE: Pressure = { cpu: null, memory: null, io: null };

export const statusSchema = z.looseObject({
  v: z.literal(1),
  host: z.string(),
  epoch: z.int(),
  bootId: z.string(),
  pid: z.int(),
  hobblerVersion: z.string(),
  startedAtMs: z.number(),
  /** By Redis's clock. */
  beatAtMs: z.number(),
  cores: z.int(),
  load1: z.number(),
  pressure: pressure.default(NO_PRESSURE),
  targets: z.int(),
  processes: z.int(),
  stopsPerSecond: z.number(),
  /** The worker's own CPU, and its guard's, as a share of one core over the last beat. */
  ownCpuRatio: ratio,
  rssBytes: z.number(),
  latenessP50Ms: z.number().nullable(),
  latenessP99Ms: z.number().nullable(),
  redisRttMs: z.number().nullable(),
  guard: z.enum(['alive', 'dead']),
  hold: z.object({ scope: z.enum(['fleet', 'host', 'local']), reason: z.string() }).nullable(),
  mechanisms: z.record(z.string(), mechanismProbe),
  /** Null: written by a worker that does not say. */
  exemptions: exemptions.nullable().default(null),
});
/** A worker's heartbeat. */
export type Status = z.infer<typeof statusSchema>;

/** Heartbeat interval, and after how long a host is late, then lost (milliseconds). */
export const BEAT_EVERY_MS = 5_000;
export const LATE_AFTER_MS = 15_000;
export const LOST_AFTER_MS = 30_000;
/** How long a silent host's last status stays readable. */
export const STATUS_TTL_MS = 7 * 86_400_000;

export type Liveness = 'alive' | 'late' | 'lost';

/** How a host stands, from the age of its last beat on Redis's clock; null when it never beat. */
export function liveness(beatAtMs: number | null, redisNowMs: number): Liveness {
  if (beatAtMs === null) return 'lost';
  const ageMs = redisNowMs - beatAtMs;
  if (ageMs > LOST_AFTER_MS) return 'lost';
  return ageMs > LATE_AFTER_MS ? 'late' : 'alive';
}

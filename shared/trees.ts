/**
 * The processes of a target as its worker sees them, for as long as somebody looks: who looks says so under `looking`, and
 * the worker answers under `trees`. Both keys end by themselves, so that nobody who looks no more costs a host anything.
 * Bounded: a look is for people, and changes nothing.
 */
import { z } from 'zod';

/** Targets of one host that can be looked into at a time, and processes of each that are told. */
export const MAX_LOOKED_INTO = 4;
export const MAX_TREE_PROCESSES = 200;
/** How long a question stands, and an answer, milliseconds. */
export const LOOKING_TTL_MS = 10_000;
export const TREES_TTL_MS = 15_000;

export const lookingSchema = z.array(z.string().max(4_200)).max(MAX_LOOKED_INTO);

export const treeProcess = z.object({
  pid: z.int(),
  ppid: z.int(),
  /** With the pid, its identity. */
  startTicks: z.int(),
  /** Chosen by the process; without control characters. */
  comm: z.string(),
  /** As in proc(5): R, S, D, T … */
  state: z.string(),
  /** Null: cannot be read. */
  uid: z.int().nullable(),
  /** CPU that it has used, milliseconds. */
  cpuMs: z.number(),
  /** CPU share of one core since the answer before; null: there was none. */
  shareRatio: z.number().nullable(),
  /** Null: hobbled under this target. Else why not: exempt, or another target's. */
  spared: z.string().nullable(),
});
export type TreeProcess = z.infer<typeof treeProcess>;

export const treesSchema = z.object({
  v: z.literal(1),
  /** By Redis's clock. */
  atMs: z.number(),
  trees: z.array(
    z.object({
      target: z.string(),
      /** Parents before children. */
      processes: z.array(treeProcess),
      /** Processes that are not told of. */
      leftOut: z.int(),
    }),
  ),
});
export type Trees = z.infer<typeof treesSchema>;
export type Tree = Trees['trees'][number];

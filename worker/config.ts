/** The `worker:` section of the config file: what this host allows, whatever an order says (invariant 5). */
import { z } from 'zod';
import { durationMs } from '../shared/duration.ts';
import { hostName } from '../shared/order.ts';
import type { Exemptions } from '../shared/report.ts';
import { trustedKeySchema } from '../shared/signature.ts';

/** Uids below this belong to the system on Debian and most others. */
const DEFAULT_MIN_UID = 1_000;
/** A process that stands still for longer looks dead to whoever waits for it. */
const MAX_PERIOD_MS = 5_000;

/** `/a/` as people write it is `/a` in /proc; the root is then the empty path, which everything lies below. */
const withoutSlashAtEnd = (path: string) => path.replace(/\/+$/, '');

/** A bearer token shorter than this can be guessed. */
const MIN_TOKEN_CHARS = 16;

/** Tokens are checked on the object around them, whose value messages do not quote. */
const http = z
  .strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    port: z.int().min(0).max(65_535).default(9713),
    /** Bearer tokens with which a scraper may read /metrics. */
    tokens: z.array(z.unknown()).max(16).default([]),
    /** No token: every user of this machine may read them. */
    open: z.boolean().default(false),
  })
  .transform(({ tokens, ...rest }, context) => {
    const isGood = (token: unknown): token is string =>
      typeof token === 'string' && token.length >= MIN_TOKEN_CHARS && /^[\x21-\x7e]+$/.test(token);
    const good = tokens.filter(isGood);
    const isLocal = rest.host === 'localhost' || rest.host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(rest.host);
    const fault =
      good.length < tokens.length
        ? `tokens: expected texts of ${MIN_TOKEN_CHARS} or more printable characters without spaces`
        : good.length === 0 && !(rest.open && isLocal)
          ? 'no tokens: expected one (such as `openssl rand -hex 24` makes), or open: true on a loopback address'
          : undefined;
    if (fault === undefined) return { ...rest, tokens: good };
    context.addIssue({ code: 'custom', message: fault });
    return z.NEVER;
  });

/** systemd's service users (DynamicUser=) and nobody: daemons too, though they stand above the floor. */
const SYSTEM_UIDS = ['61184-65519', 65_534];
/** What a range may span: it is looked up one by one. Subordinate uids are more, and better told by their cgroup. */
const MAX_UID_SPAN = 100_000;
const MAX_UID = 4_294_967_294;

/** The uids of `A`, or of `A-B` with both ends. */
const uidRange = z.union([z.int(), z.string()]).transform((given, context) => {
  const [first, last = first] = (/^\d{1,10}(-\d{1,10})?$/.exec(String(given))?.[0] ?? 'NaN').split('-').map(Number);
  if (first! <= last! && last! <= MAX_UID && last! - first! < MAX_UID_SPAN) return { first: first!, last: last! };
  context.addIssue({
    code: 'custom',
    message: `expected a uid, or a range A-B of at most ${MAX_UID_SPAN} of them, got ${JSON.stringify(given).slice(0, 40)}`,
  });
  return z.NEVER;
});

export const workerConfigSchema = z
  .strictObject({
    /** This host's name in the fleet; default: the machine's own, in lower case. */
    host: hostName.optional(),
    /** Journal, lock, guard FIFO and local hold. Default: /run/hobbler for root. */
    stateDir: z.string().startsWith('/').optional(),
    /** Nobody below this uid is ever hobbled. */
    minUid: z.int().min(0).default(DEFAULT_MIN_UID),
    exempt: z
      .strictObject({
        users: z.array(z.string().min(1)).default([]),
        groups: z.array(z.string().min(1)).default([]),
        /** Numbers, and ranges such as `61184-65519`. */
        uids: z
          .array(uidRange)
          .max(64)
          .prefault([...SYSTEM_UIDS]),
        /** Paths as in /proc/PID/cgroup; those below are exempt too. */
        cgroups: z.array(z.string().startsWith('/').transform(withoutSlashAtEnd)).default([]),
      })
      .prefault({}),
    /** Public keys whose orders are carried out. Empty: orders are not checked, on a loopback Redis only. */
    keys: z.array(trustedKeySchema).default([]),
    /** Take unsigned orders from a Redis that other machines can reach. */
    allowUnsigned: z.boolean().default(false),
    /** `spawn`: start a guard of our own; `external`: another service runs it (compose). */
    guard: z.enum(['spawn', 'external']).default('spawn'),
    /** What to do when another worker holds this host's lease. */
    whenLeased: z.enum(['wait', 'refuse']).default('wait'),
    bounds: z
      .strictObject({
        loops: z.int().min(1).max(100_000).default(10_000),
        processesPerTarget: z.int().min(1).max(100_000).default(20_000),
      })
      .prefault({}),
    /**
     * Never more than this share of the users here, by their processes, is in the tarpit at once: past it the newest
     * orders are refused or held, and the reason is reported. 1: all may be.
     */
    brake: z
      .strictObject({
        share: z.number().gt(0).max(1).default(0.5),
        /** So many targets may always be in: of two users, one is half. */
        atLeast: z.int().min(1).max(100_000).default(10),
      })
      .prefault({}),
    /**
     * What hobbling may cost this host, as a share of one core. Past it the same duty cycle is carried out over a longer
     * period, up to `maxPeriod`.
     */
    budget: z
      .strictObject({
        cpu: z.number().gt(0).max(1).default(0.05),
        maxPeriod: durationMs
          .refine((ms) => ms <= MAX_PERIOD_MS, { error: `expected at most ${MAX_PERIOD_MS / 1000}s` })
          .prefault('1s'),
      })
      .prefault({}),
    /** Ask for the lowest real-time priority (SCHED_RR 1), so that phases are on time on a host whose cores are all busy. */
    realtime: z.boolean().default(true),
    /** CPU seconds per user, published for the producer's meter source. */
    meter: z.strictObject({ enabled: z.boolean().default(true), every: durationMs.prefault('10s') }).prefault({}),
    /** Metrics and health by HTTP. Left out: no port is opened. */
    http: http.optional(),
  })
  .prefault({});

export type WorkerConfig = z.output<typeof workerConfigSchema>;

/** A beat is small, whatever a host's configuration is. */
const MAX_NAMED = 50;

/** What this host exempts, for people to see with its status. */
export function exemptionsOf({ minUid, exempt: { users: names, groups, cgroups, uids } }: WorkerConfig): Exemptions {
  const users = [
    ...names,
    ...uids.map(({ first, last }) => (first === last ? `uid ${first}` : `uid ${first}-${last}`)),
  ];
  const named = <Name>(all: readonly Name[]) => all.slice(0, MAX_NAMED);
  const leftOut = [users, groups, cgroups].reduce((sum, all) => sum + Math.max(0, all.length - MAX_NAMED), 0);
  return { minUid, users: named(users), groups: named(groups), cgroups: named(cgroups), leftOut };
}

/** Every uid of the ranges. */
export function uidsOf(ranges: WorkerConfig['exempt']['uids']): number[] {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

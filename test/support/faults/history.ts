/**
 * Histories: what may happen to a host and to those who give it orders, as fast-check makes it up and shrinks it. Pure
 * words; which world they happen in (real parts, or a simulated one) and what must be true after them is said elsewhere.
 * A step that makes no sense where it stands (killing a dead worker) is passed over, so that any list is a history.
 */
import fc from 'fast-check';

/** How an order gets to the host. */
export const ROADS = [
  'job', // a bare BullMQ job, as an outsider adds it
  'issuer', // the state by compare-and-set, then a job: as producer, admin and CLI do it
  'state', // the state alone, as a lease is renewed
  'fleet', // the fleet's state and a job
] as const;
export type Road = (typeof ROADS)[number];

/** `twice`: doubled. `held`: kept back and delivered after newer ones. `unwatched`: nobody waits for its end. */
export const MANNERS = ['once', 'twice', 'held', 'unwatched'] as const;
export type Manner = (typeof MANNERS)[number];

export const FAULTS = [
  'worker-killed',
  'worker-hung', // SIGSTOP, until `worker-wakes`
  'worker-wakes',
  'worker-starts',
  'worker-replaced', // SIGTERM, and a new one at once: a rolling restart
  'guard-killed',
  'guard-hung',
  'guard-wakes',
  'both-killed-then-script', // the release script is what systemd runs after a stop
  'both-killed-then-start',
  'both-hung', // the watchdog of the supervisor kills both and runs its ExecStopPost
  'second-worker', // of the same name, with its own state directory: on another machine
  'second-ends',
  'lease-taken', // somebody else's epoch stands in the lease for some seconds
  'redis-killed',
  'redis-starts', // from its AOF
  'redis-lost', // killed, and started without its data: there was no AOF
  'redis-paused',
  'redis-resumes',
  'redis-flushed',
  'redis-snapshot', // remembered for `redis-restored`
  'redis-restored', // an older snapshot, as a stale replica has it
  'redis-full', // every write is refused: OOM under noeviction
  'redis-roomy',
  'disk-full', // that of the state directory
  'journal-full', // no byte more in any file that the worker writes
  'disk-freed',
] as const;
export type Fault = (typeof FAULTS)[number];

export type HoldScope = 'fleet' | 'host' | 'local';

export type Step =
  | { do: 'tarpit'; target: number; cycle: number; short: boolean; road: Road; manner: Manner }
  | { do: 'untarpit'; target: number; road: Road; manner: Manner }
  | { do: 'deliver' } // what was held back, the newest first
  | { do: 'again' | 'ancient'; which: number } // an order given before, as it was, or as of a year ago
  | { do: 'future'; target: number } // by a clock that is ahead
  | { do: 'policy'; cycle: number } // everybody who is in gets another level
  | { do: 'hold' | 'unhold'; scope: HoldScope }
  | { do: 'birth'; account: number; isChild: boolean }
  | { do: 'death'; which: number }
  | { do: 'fault'; fault: Fault }
  | { do: 'wait'; ms: number };

/** Duty cycles that histories choose from; their shares differ, so who owns a process is decided by them. */
export const CYCLES = [
  { runMs: 10, stopMs: 200 },
  { runMs: 50, stopMs: 150 },
  { runMs: 10, stopMs: 1_500 },
  { runMs: 20, stopMs: 90 },
];

/** Accounts are users of the host. */
export const ACCOUNTS = 3;

const target = fc.nat(11);
const which = fc.nat(15);
const cycle = fc.nat(CYCLES.length - 1);
const road = fc.constantFrom<Road>('job', 'job', 'issuer', 'issuer', 'fleet', 'state');
const manner = fc.constantFrom<Manner>('once', 'once', 'once', 'twice', 'held', 'unwatched');
const scope = fc.constantFrom<HoldScope>('fleet', 'host', 'local');

/** How often each fault is taken beside the others, of which each counts 4: deaths more, what takes a real world seconds less. */
const WEIGHTS: Partial<Record<Fault, number>> = {
  'worker-killed': 14,
  'worker-starts': 8,
  'worker-hung': 6,
  'guard-killed': 6,
  'lease-taken': 1,
  'second-worker': 2,
  'guard-hung': 2,
};
const anyFault = (faults: readonly Fault[]) =>
  fc.oneof(...faults.map((fault) => ({ weight: WEIGHTS[fault] ?? 4, arbitrary: fc.constant(fault) })));

const anyStep = (faults: readonly Fault[]): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc.record({
        do: fc.constant('tarpit' as const),
        target,
        cycle,
        short: fc.nat(5).map((n) => n === 0),
        road,
        manner,
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('untarpit' as const), target, road, manner }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('deliver' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('again' as const, 'ancient' as const), which }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('future' as const), target }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('policy' as const), cycle }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('hold' as const), scope }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('unhold' as const), scope }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('birth' as const), account: fc.nat(ACCOUNTS - 1), isChild: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('death' as const), which }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('fault' as const), fault: anyFault(faults) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 10, max: 800 }) }) },
  );

/** Any history of at most `most` steps, with these faults. The first puts somebody in, or there would be nothing to lose. */
export function anyHistory(most: number, faults: readonly Fault[] = FAULTS): fc.Arbitrary<Step[]> {
  const first = fc.record({
    do: fc.constant('tarpit' as const),
    target: fc.nat(3),
    cycle,
    short: fc.constant(false),
    road: fc.constantFrom<Road>('job', 'issuer'),
    manner: fc.constant('once' as const),
  });
  return fc
    .tuple(first, fc.array(anyStep(faults), { minLength: Math.floor(most / 3), maxLength: most - 1 }))
    .map(([begin, rest]) => [begin, ...rest]);
}

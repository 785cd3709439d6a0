/**
 * Hobbler as a contender: its worker as a whole, guard, heartbeat and reports included, against a Redis. Orders are
 * written to the desired state before it starts, as it finds them after any restart. Before a figure counts, it is made
 * sure that the worker does what was ordered: a worker that is held up costs nothing.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, within } from '../shared/clock.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Hobble, MechanismName, Order } from '../shared/order.ts';
import { redisNowMs } from '../shared/redis/connection.ts';
import { putDesired } from '../shared/redis/desired.ts';
import { hold, unhold } from '../shared/redis/fleet.ts';
import { type Report, reportSchema, type Status, statusSchema } from '../shared/report.ts';
import type { TrustedKey } from '../shared/signature.ts';
import { workerConfigSchema } from '../worker/config.ts';
import { Proc } from '../worker/process/proc.ts';
import type { Meter } from './cgroups.ts';
import { ANSWER_LIMIT_MS, launch } from './launch.ts';
import { LeftOut } from './scenario.ts';
import { type BenchRedis, CYCLE, type Workbench } from './workbench.ts';

/** Reading 10,000 reports takes a while: not too often. */
const LOOK_EVERY_MS = 300;
const AT_WORK_WITHIN_MS = 30_000;
const LEASE_MS = 3_600_000;
/** Longer than any herd of ours. */
const MANY = 20_000;

export interface HobblerOptions {
  meter: Meter;
  redis: BenchRedis;
  targets: readonly string[];
  /** True: idle targets are cycled too. */
  every?: boolean;
  mechanism?: MechanismName;
  /** False: the period stays as asked, whatever it costs. Default: hobbler's own budget. */
  adapts?: boolean;
  keys?: readonly TrustedKey[];
}

export interface RunningHobbler {
  readonly host: string;
  readonly pid: number;
  /** What it reports of each target now. */
  reports(): Promise<Report[]>;
  /** Its last heartbeat. */
  status(): Promise<Status>;
}

/** A process as an order names it. */
export function pidTarget(pid: number): string {
  const startTicks = new Proc().readStat(pid)?.startTicks;
  if (startTicks === undefined) throw new Error(`target ${pid} has ended`);
  return `pid:${pid}@${startTicks}`;
}

let hosts = 0;

/** A host name that no other worker of this bench has had. */
export function newHost(): string {
  return `bench-${process.pid}-${++hosts}`;
}

/** A tarpit order for a target at 10/200. */
export function tarpitOrder(host: string, target: string, version: number, hobble: Partial<Hobble> = {}): Order {
  return {
    v: 1,
    action: 'tarpit',
    host,
    target,
    version,
    issuedAt: version,
    expiresAt: version + LEASE_MS,
    hobble: { ...CYCLE, mechanism: 'auto', ...hobble },
    reason: 'bench',
    by: 'bench',
  };
}

/** Starts a worker and waits until it carries out every order. Throws LeftOut when it says that it cannot. */
export async function startHobbler(bench: Workbench, options: HobblerOptions): Promise<RunningHobbler> {
  const { redis, targets, every = false, mechanism = 'auto' } = options;
  const host = newHost();
  const version = await redisNowMs(redis.client);
  await Promise.all(
    targets.map((target) => putDesired(redis.client, tarpitOrder(host, target, version, { every, mechanism }))),
  );
  // Held while it takes its orders up: signals would make that take three times as long, and none of it is measured.
  await hold(redis.client, host, 'it takes its orders up', 'bench');
  const hobbler = await startWorker(bench, host, options);
  await unhold(redis.client, host, 'it has taken them up', 'bench');
  await untilAtWork(bench, hobbler, targets.length, mechanism);
  return hobbler;
}

/** Starts a worker of that host; resolves once it says that it is ready. */
export async function startWorker(
  bench: Workbench,
  host: string,
  { meter, redis, adapts = true, keys = [] }: Pick<HobblerOptions, 'meter' | 'redis' | 'adapts' | 'keys'>,
): Promise<RunningHobbler> {
  const dir = mkdtempSync(join(bench.scratch, 'worker-'));
  const config = join(dir, 'hobbler.yaml');
  writeFileSync(config, JSON.stringify(workerConfig(adapts, keys))); // JSON is YAML
  const args = ['--redis', redis.url, '--config', config, '--state-dir', join(dir, 'state'), 'worker', '--host', host];
  let said = '';
  let onReady = () => {};
  const ready = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const program = launch(bench, meter, process.execPath, [bench.cli.path, ...args], {
    input: '',
    onError: (text) => {
      said = (said + text).slice(-2_000);
      if (text.includes('worker ready')) onReady();
    },
  });
  const result = await within(systemClock, ANSWER_LIMIT_MS, Promise.race([ready, program.ended]));
  if (!result.done || result.value !== undefined) throw new Error(`the worker did not get ready: ${said}`);
  return {
    host,
    pid: program.pid,
    reports: async () => {
      const texts = Object.values(await redis.client.hgetall(hostKeys.observed(host)));
      return texts.map((text) => reportSchema.parse(JSON.parse(text)));
    },
    status: async () => statusSchema.parse(JSON.parse((await redis.client.get(hostKeys.status(host))) ?? 'null')),
  };
}

function workerConfig(adapts: boolean, keys: readonly TrustedKey[]): object {
  const worker = {
    minUid: 0, // the herd runs as root, as the bench does
    bounds: { loops: MANY, processesPerTarget: MANY },
    brake: { share: 1 },
    keys,
    ...(adapts ? {} : { budget: { cpu: 1 } }),
  };
  return { worker: workerConfigSchema.safeParse(worker).success ? worker : { ...worker, budget: undefined } };
}

/**
 * Waits until every target is hobbled or spared: what was ordered and is not done would be measured as cheap. Throws
 * LeftOut when the worker says that this host cannot do it.
 */
async function untilAtWork(bench: Workbench, hobbler: RunningHobbler, count: number, mechanism: string): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + AT_WORK_WITHIN_MS;
  for (;;) {
    const reports = await hobbler.reports();
    const idle = reports.find(({ state }) => state !== 'hobbling' && state !== 'spared');
    if (reports.length >= count && !idle) return;
    const what = idle ? `${idle.target} is ${idle.state}: ${idle.why ?? 'no reason given'}` : 'too few are reported';
    if (idle?.state === 'unsupported') throw new LeftOut(`unsupported: ${mechanism}: ${idle.why ?? 'no reason given'}`);
    if (systemClock.monotonicMs() > giveUpAtMs)
      throw new Error(`hobbler does not hobble all of ${count} targets: ${what}`);
    await bench.wait(LOOK_EVERY_MS);
  }
}

/** What a worker does with its targets now: how many it spares, and how many it lets go because it is itself held up. */
export function statesOf(reports: readonly Report[]): { spared: number; held: number } {
  const count = (wanted: Report['state']) => reports.filter(({ state }) => state === wanted).length;
  return { spared: count('spared'), held: count('held') };
}

/** Its names as a contender. */
export const EVERY = 'hobbler, every target cycled';
export const SPARING = 'hobbler, the idle spared (default)';

/** Spared are all that sleep once the worker has looked at each a few times. */
const SPARED_WITHIN_MS = 30_000;

/** Waits until at least so many targets are spared. Throws when that does not come about. */
export async function untilSpared(bench: Workbench, hobbler: RunningHobbler, count: number): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + SPARED_WITHIN_MS;
  for (;;) {
    const { spared } = statesOf(await hobbler.reports());
    if (spared >= count) return;
    if (systemClock.monotonicMs() > giveUpAtMs) throw new Error(`only ${spared} of ${count} idle targets are spared`);
    await bench.wait(LOOK_EVERY_MS);
  }
}

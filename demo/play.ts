/**
 * The play: starts the trees, then turns twice a second: meter, post readings over HTTP, look at what the worker
 * reports, show it, note a sample. A service like the others, so that it starts after them and its trees end before
 * them. It gives no order itself: that is the producer's affair.
 */
import { type Clock, sleep } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { redisNowMs } from '../shared/redis/connection.ts';
import { readHost } from '../shared/redis/fleet.ts';
import type { Report } from '../shared/report.ts';
import type { Service } from '../shared/service.ts';
import { formatTarget } from '../shared/target.ts';
import { type Identity, isAlive } from '../worker/process/ending.ts';
import type { Proc } from '../worker/process/proc.ts';
import { statePaths } from '../worker/state-dir.ts';
import { busySeconds, ownSeconds, readPid } from './machine.ts';
import { TreeMeter, type Usage } from './meter.ts';
import type { Row, Screen } from './screen.ts';
import { judgeRates, phaseMs, phaseOf, ratesOf, type Sample, whyAgain } from './story.ts';
import { ACCOUNTS, type DemoSystem, GREEDY } from './system.ts';
import { calibrateLoops, endTree, type RunningTree, startTree } from './trees.ts';

export interface PlayOptions {
  system: DemoSystem;
  proc: Proc;
  clock: Clock;
  screen: Screen;
  /** True: goes on after its end, until it is stopped. */
  keep: boolean;
  /** Called once, when all has been seen that there is to see. */
  onWhole: () => void;
}

const TURN_MS = 500;
/** The last phase: long enough to be measured, shorter than the greedy tree takes to go over again. */
const AFTER_MS = 4_500;
/** On a machine that is busy with other things a cycle is played again, and the greedy tree is slow to go over. */
const MAX_CYCLES = 3;
const GIVE_UP_AFTER_MS = 75_000;
/** Over how long the figures of the table are taken, in turns. */
const SHOWN_OVER_TURNS = 4;
const MAX_SEEN = 2_000;

export class Play implements Service {
  readonly name = 'demo';
  /** Resolves when the play has come to its end; rejects when it cannot go on. */
  readonly over: Promise<void>;
  readonly #options: PlayOptions;
  readonly #samples: Sample[] = [];
  /** Where the present cycle begins, and the one that went best so far. */
  #cycleFrom = 0;
  #cycles = 1;
  #best: { kept: number; cycle: readonly Sample[] } = { kept: -1, cycle: [] };
  readonly #trees: RunningTree[] = [];
  readonly #seen = new Map<string, Identity>();
  readonly #end = Promise.withResolvers<void>();
  readonly #urls: string[] = [];
  #isStopped = false;
  #isWhole = false;
  #turning: Promise<void> = Promise.resolve();
  #startedAtMs = 0;
  #wasHobbled = false;
  #cpuAtStart = process.cpuUsage();
  #ownCpuRatio: number | null = null;

  constructor(options: PlayOptions) {
    this.#options = options;
    this.over = this.#end.promise;
    this.over.catch(() => {});
  }

  /** True once every phase has been seen. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Samples of one cycle: free, in the tarpit, free again. */
  get cycle(): readonly Sample[] {
    return this.#best.cycle;
  }

  /** CPU of this process, hobbler and demo together, as a share of one core; null: not known yet. */
  get ownCpuRatio(): number | null {
    return this.#ownCpuRatio;
  }

  /** Every process seen in the trees, and where servers listened. */
  get traces(): { processes: Identity[]; urls: string[] } {
    return { processes: [...this.#seen.values()], urls: this.#urls };
  }

  async start(): Promise<void> {
    const { system, proc, clock } = this.#options;
    for (const url of [system.producerUrl(), system.adminUrl()]) if (url !== null) this.#urls.push(url);
    this.#noteGuard();
    const loops = calibrateLoops(() => clock.monotonicMs());
    const limit = system.rules.limits.default;
    const meter = new TreeMeter(proc, system.rules);
    for (const account of ACCOUNTS) {
      const appetite = account === GREEDY ? 'greedy' : 'modest';
      const tree = await startTree(account, appetite, { dir: system.dir, loops, proc });
      this.#trees.push(tree);
      meter.add(account, tree);
      if (this.#isStopped) return;
    }
    // The first window begins now, as a day would at midnight.
    if (limit?.window?.kind === 'every') limit.window.anchorMs = clock.wallMs();
    this.#startedAtMs = clock.monotonicMs();
    this.#cpuAtStart = process.cpuUsage();
    this.#turning = this.#turnUntilStopped(meter).catch(this.#end.reject);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#turning;
    await Promise.all(this.#trees.map((tree) => endTree(tree, this.#options.proc)));
  }

  async #turnUntilStopped(meter: TreeMeter): Promise<void> {
    const { clock } = this.#options;
    for (let dueMs = clock.monotonicMs(); !this.#isStopped; dueMs += TURN_MS) {
      await sleep(clock, Math.max(0, dueMs - clock.monotonicMs()));
      if (this.#isStopped) return;
      await this.#turn(meter);
    }
  }

  async #turn(meter: TreeMeter): Promise<void> {
    const { clock, system, screen } = this.#options;
    for (const tree of this.#trees) {
      const why = tree.endedEarly();
      if (why !== null) throw new HobblerError('internal', why, { where: `the tree of ${tree.account}` });
    }
    const nowMs = clock.wallMs();
    const usages = meter.read(nowMs);
    this.#remember(meter.members);
    await this.#post(usages, nowMs);
    const { reports } = await readHost(system.redis, system.host, await redisNowMs(system.redis));
    const report = (account: string) => reports.find(({ target }) => target === this.#targetOf(account));
    const elapsedMs = clock.monotonicMs() - this.#startedAtMs;
    this.#sample(elapsedMs, usages, report(GREEDY));
    screen.show(
      elapsedMs,
      usages.map((usage) => this.#row(usage, report(usage.account))),
      usages[0]!.resetsAtMs - nowMs,
    );
    if (!this.#isWhole) this.#judge(elapsedMs);
    else this.#samples.splice(0, this.#samples.length - SHOWN_OVER_TURNS - 1);
  }

  /** Processes to be looked for at the end; of the many short ones, with --keep, only those that live on. */
  #remember(members: readonly Identity[]): void {
    for (const member of members) this.#seen.set(`${member.pid}@${member.startTicks}`, member);
    if (this.#seen.size < MAX_SEEN) return;
    for (const [key, one] of this.#seen) if (!isAlive(this.#options.proc, one)) this.#seen.delete(key);
  }

  /** Ends the play when a cycle is whole; where other work spoilt it, another one begins. */
  #judge(elapsedMs: number): void {
    const { screen, keep, onWhole } = this.#options;
    const cycle = this.#samples.slice(this.#cycleFrom);
    const isTimeUp = elapsedMs > GIVE_UP_AFTER_MS;
    if (phaseMs(cycle, 'after') < AFTER_MS && !isTimeUp) return;
    const rates = Object.fromEntries(ACCOUNTS.map((account) => [account, ratesOf(cycle, account)]));
    const promises = judgeRates(GREEDY, ACCOUNTS.slice(1), rates);
    const kept = promises.filter(({ isKept }) => isKept).length;
    if (kept >= this.#best.kept) this.#best = { kept, cycle };
    const again = whyAgain(cycle, promises);
    if (again !== null && this.#cycles < MAX_CYCLES && !isTimeUp) {
      this.#cycles++;
      this.#cycleFrom += phaseOf(cycle).indexOf('after');
      screen.event(elapsedMs, `once more: ${promises.find(({ isKept }) => !isKept)!.detail}, while ${again}`);
      return;
    }
    this.#isWhole = true;
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    this.#ownCpuRatio = (user + system) / 1000 / elapsedMs;
    onWhole();
    if (!keep) this.#end.resolve();
  }

  /** As any accounting system would: cumulative figures of the window, and where the account is to be slowed. */
  async #post(usages: readonly Usage[], nowMs: number): Promise<void> {
    const { system } = this.#options;
    const readings = usages.map(({ account, used }) => ({
      account,
      used,
      at: nowMs,
      host: system.host,
      target: this.#targetOf(account),
    }));
    let answer: string;
    try {
      const response = await fetch(`${system.producerUrl()}/v1/readings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${system.token}` },
        body: JSON.stringify(readings),
        signal: AbortSignal.timeout(5_000),
      });
      if (response.ok && response.status === 200) return;
      answer = `${response.status} ${(await response.text()).slice(0, 300)}`;
    } catch (error) {
      answer = messageOf(error);
    }
    if (!this.#isStopped) throw new HobblerError('internal', 'the producer did not take the readings', { got: answer });
  }

  #sample(atMs: number, usages: readonly Usage[], report: Report | undefined): void {
    const { screen, system } = this.#options;
    // Also while the worker holds back for a moment, as it does when it was away: the account is in the tarpit then.
    const isHobbled = report !== undefined;
    const of = (value: (account: string) => number) =>
      Object.fromEntries(ACCOUNTS.map((account) => [account, value(account)]));
    this.#samples.push({
      atMs,
      isHobbled,
      units: of((account) => this.#trees.find((tree) => tree.account === account)!.units()),
      cpuSeconds: of((account) => usages.find((usage) => usage.account === account)!.totalSeconds),
      otherSeconds: busySeconds() - usages.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0) - ownSeconds(),
    });
    if (isHobbled && !this.#wasHobbled) {
      screen.event(
        atMs,
        `${GREEDY} is tarpitted on ${system.host}: ${report.reason}; ${report.processes} processes run ${report.runMs} of ${report.runMs + report.stopMs} ms`,
      );
    } else if (!isHobbled && this.#wasHobbled) screen.event(atMs, `${GREEDY} is let go: its window has reset`);
    this.#wasHobbled = isHobbled;
  }

  #row({ account, used, limit, unit }: Usage, report: Report | undefined): Row {
    const last = this.#samples.at(-1)!;
    const before = this.#samples.at(-1 - SHOWN_OVER_TURNS);
    const perSecond = (what: 'units' | 'cpuSeconds') =>
      before ? (last[what][account]! - before[what][account]!) / ((last.atMs - before.atMs) / 1000) : null;
    return {
      account,
      used,
      limit,
      unit,
      level:
        report === undefined
          ? 'free'
          : report.state === 'hobbling'
            ? `tarpit ${report.runMs}/${report.runMs + report.stopMs} ms`
            : report.state,
      askedRatio: report?.askedRatio ?? null,
      cpuRatio: perSecond('cpuSeconds'),
      unitsPerSecond: perSecond('units'),
    };
  }

  #targetOf(account: string): string {
    const { pid, startTicks } = this.#trees.find((tree) => tree.account === account)!;
    return formatTarget({ kind: 'pid', pid, startTicks });
  }

  /** The guard is a child in a session of its own: it has to be gone too. */
  #noteGuard(): void {
    const { proc, system } = this.#options;
    const pid = readPid(statePaths(system.stateDir).guardPid);
    const guard = pid === undefined ? undefined : proc.identify(pid);
    if (guard) this.#seen.set('guard', guard);
  }
}

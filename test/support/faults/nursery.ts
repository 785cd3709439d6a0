/**
 * Processes for histories: users' own, alone or in small trees, born and ended on demand, one account of them in a cgroup
 * of its own where this machine has a freezer. Knows when each was there, to the moment, so that signals can be held
 * against it. Ends everything that it has started.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessId } from '../../../shared/target.ts';
import { createCgroup, MOUNTS, removeTestCgroups, type TestCgroup } from '../cgroups.ts';
import { isAlive, readStartTicks, readState, registerKnown, signalExactly, startProcess } from '../processes.ts';
import { until } from '../until.ts';
import type { HostFacts } from './checker.ts';
import { ACCOUNTS } from './history.ts';
import type { Lifetime } from './trace.ts';

/** Nobody's on this machine, above what other tests use, and others in each run: runs side by side must not meet. */
const FIRST_UID = 100_000 + process.pid * 8;
/** Births on demand: one child per line that is read. */
const PARENT = 'while read -r _; do sleep 600 & echo $!; done; wait';

interface Child extends ProcessId, Lifetime {
  account: number;
  bear?: () => Promise<ProcessId>;
}

export class Nursery {
  readonly facts: HostFacts;
  readonly #cgroup: TestCgroup | undefined;
  readonly #isV2: boolean;
  readonly #children: Child[] = [];
  /** Those of earlier histories, for the trace. */
  readonly #past: Child[] = [];

  constructor() {
    this.#isV2 = MOUNTS.v2 !== undefined && MOUNTS.freezer === undefined;
    if (MOUNTS.freezer) this.#cgroup = createCgroup('freezer');
    else if (MOUNTS.v2) this.#cgroup = createCgroup('v2');
    const uids = Array.from({ length: ACCOUNTS }, (_, account) => FIRST_UID + account);
    this.facts = { uids, cgroup: this.#cgroup ? { account: ACCOUNTS - 1, path: this.#cgroup.path } : null };
  }

  async birth(account: number, parent: ProcessId | null): Promise<ProcessId> {
    const bearer = parent && this.#children.find(({ pid, bear }) => pid === parent.pid && bear);
    if (bearer) {
      const fromMs = Date.now();
      return this.#note(account, await bearer.bear!(), fromMs);
    }
    const uid = this.facts.uids[account]!;
    const bornAtMs = Date.now();
    const one = await startProcess('sh', ['-c', PARENT], {
      uid,
      gid: uid,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    if (this.facts.cgroup?.account === account) this.#cgroup!.enter(one.pid);
    let said = '';
    one.child.stdout!.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
    const bear = async () => {
      const from = said.length;
      one.child.stdin!.write('\n');
      // Hobbled, it takes the line in its next run phase.
      const pid = await until(() => Number(/^(\d+)\n/.exec(said.slice(from))?.[1]), {
        deadlineMs: 20_000,
        what: () => `a child of ${one.pid} (state ${readState(one.pid)})`,
      });
      const startTicks = readStartTicks(pid)!;
      return registerKnown({ pid, startTicks });
    };
    return this.#note(account, one, bornAtMs, bear);
  }

  #note(account: number, { pid, startTicks }: ProcessId, bornAtMs: number, bear?: () => Promise<ProcessId>): ProcessId {
    const child = { pid, startTicks, account, bornAtMs, goneAtMs: Number.POSITIVE_INFINITY };
    this.#children.push(bear ? { ...child, bear } : child);
    return { pid, startTicks };
  }

  async death(processes: readonly ProcessId[]): Promise<void> {
    for (const one of processes) signalExactly(one, 'SIGKILL');
    // One in a frozen cgroup of v1 ends when it is thawed.
    await until(() => processes.every((one) => !isAlive(one)), {
      deadlineMs: 20_000,
      what: () => `the end of ${processes.map(({ pid }) => `${pid} (${readState(pid)})`).join(', ')}`,
    });
    for (const { pid } of processes) {
      const index = this.#children.findIndex((child) => child.pid === pid);
      if (index >= 0) this.#past.push(...this.#children.splice(index, 1));
    }
  }

  /** Who is stopped or frozen at this moment. */
  stopped(): ProcessId[] {
    const frozen = this.#isFrozen() ? this.facts.cgroup!.account : -1;
    return this.#children.filter(({ pid, account }) => {
      const state = readState(pid);
      return state === 'T' || (account === frozen && state !== undefined);
    });
  }

  #isFrozen(): boolean {
    if (!this.#cgroup) return false;
    const file = this.#isV2 ? 'cgroup.events' : 'freezer.state';
    const text = readFileSync(join(this.#cgroup.directory, file), 'latin1');
    return this.#isV2 ? /^frozen 1$/m.test(text) : !text.startsWith('THAWED');
  }

  /** Everybody who was ever here, with the time. Whose end nobody has taken note of (a zombie) keeps his pid. */
  lifetimes(): Lifetime[] {
    for (const one of this.#past) {
      const isGone = one.goneAtMs === Number.POSITIVE_INFINITY && readStartTicks(one.pid) !== one.startTicks;
      if (isGone) one.goneAtMs = Date.now();
    }
    return [...this.#past, ...this.#children];
  }

  /** After a history. */
  async clear(): Promise<void> {
    await this.death([...this.#children]);
  }

  close(): void {
    if (this.#cgroup) removeTestCgroups();
  }
}

/**
 * A machine that cannot be had: a /proc of plain files and a kill(2) that only writes them, so that a test sees every
 * signal in order and can make up any process (a dead leader, a hostile name, a parent that never stops). It has pidfds
 * of its own where a test wants them. No real process is ever signalled: process.kill is replaced until `end`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pidfds } from '../../worker/process/pidfd.ts';
import { Proc } from '../../worker/process/proc.ts';
import type { Sent } from '../../worker/process/signals.ts';

export interface FakeProcess {
  pid: number;
  startTicks: number;
  comm: string;
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  tty: number;
  flags: number;
  ownTicks: number;
  reapedTicks: number;
  threads: number;
  uid: number;
  euid: number;
  gids: number[];
  cgroup: string;
  /** What a stop does to it; default: its state becomes T. */
  onStop: (process: FakeProcess) => void;
}

export class FakeKernel {
  readonly root = mkdtempSync(join(tmpdir(), 'hobbler-proc-'));
  readonly proc: Proc;
  readonly processes = new Map<number, FakeProcess>();
  /** Every signal, in order. */
  readonly signals: { pid: number; signal: string }[] = [];
  /** Errors that kill(2) gives for a pid, by code. */
  readonly refuses = new Map<number, string>();
  #lastPid = 0;
  readonly #realKill = process.kill;

  /** What each open pidfd stands for. */
  readonly openPidfds = new Map<number, FakeProcess>();
  readonly pidfds: Pidfds = {
    open: (pid) => {
      const one = this.processes.get(pid);
      if (one) this.openPidfds.set(++this.#lastPidfd, one);
      return one && this.#lastPidfd;
    },
    stop: (pidfd) => this.#send(pidfd, 'SIGSTOP'),
    continue: (pidfd) => this.#send(pidfd, 'SIGCONT'),
    send: (pidfd, signal) => this.#send(pidfd, signal),
    close: (pidfd) => {
      if (!this.openPidfds.delete(pidfd)) throw new Error(`pidfd ${pidfd} is not open`);
    },
  };
  #lastPidfd = 0;

  constructor({ pidfds = false } = {}) {
    process.kill = (pid, signal) => this.#kill(pid, String(signal));
    this.proc = new Proc(this.root, pidfds ? () => this.pidfds : undefined);
    this.add({ pid: 1, comm: 'init', uid: 0, euid: 0, ppid: 0 });
  }

  add(parts: Partial<FakeProcess> & { pid: number }): FakeProcess {
    const { pid } = parts;
    const uid = parts.uid ?? 1_000;
    const one: FakeProcess = {
      startTicks: 1_000 + pid,
      comm: `p${pid}`,
      state: 'S',
      ppid: 1,
      pgrp: pid,
      session: pid,
      tty: 0,
      flags: 4_194_304,
      ownTicks: 0,
      reapedTicks: 0,
      threads: 1,
      uid,
      euid: uid,
      gids: [uid],
      cgroup: '/',
      onStop: (process) => {
        process.state = 'T';
      },
      ...parts,
    };
    mkdirSync(join(this.root, String(pid)), { recursive: true });
    this.processes.set(pid, one);
    this.#lastPid = Math.max(this.#lastPid, pid);
    this.write(one);
    this.setLastPid(this.#lastPid);
    return one;
  }

  change(pid: number, parts: Partial<FakeProcess>): void {
    this.write(Object.assign(this.processes.get(pid)!, parts));
  }

  remove(pid: number): void {
    // Descriptors that are kept open must see the end, as the kernel's do.
    for (const name of ['stat', 'status', 'cgroup']) writeFileSync(join(this.root, String(pid), name), '');
    rmSync(join(this.root, String(pid)), { recursive: true });
    this.processes.delete(pid);
  }

  setLastPid(pid: number): void {
    this.#lastPid = pid;
    writeFileSync(join(this.root, 'loadavg'), `0.10 0.20 0.30 1/200 ${pid}\n`);
  }

  write(one: FakeProcess): void {
    const dir = join(this.root, String(one.pid));
    this.#writeStat(one);
    writeFileSync(
      join(dir, 'status'),
      `Name:\t${one.comm.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\nTgid:\t${one.pid}\nUid:\t${one.uid}\t${one.euid}\t0\t0\nGid:\t${one.gids[0]}\t${one.gids[0]}\t0\t0\nGroups:\t${one.gids.slice(1).join(' ')} \n`,
      'latin1',
    );
    writeFileSync(join(dir, 'cgroup'), `0::${one.cgroup}\n`);
  }

  /** All of it that a signal changes. */
  #writeStat(one: FakeProcess): void {
    const dir = join(this.root, String(one.pid));
    const { pid, comm, state, ppid, pgrp, session, tty, flags, ownTicks, reapedTicks, threads, startTicks } = one;
    writeFileSync(
      join(dir, 'stat'),
      `${pid} (${comm}) ${state} ${ppid} ${pgrp} ${session} ${tty} -1 ${flags} 0 0 0 0 ${ownTicks} 0 ${reapedTicks} 0 20 0 ${threads} 0 ${startTicks} 1 2\n`,
      'latin1',
    );
  }

  /** Pids that got this signal, in order. */
  pidsSent(signal: 'SIGSTOP' | 'SIGCONT'): number[] {
    return this.signals.filter((one) => one.signal === signal).map(({ pid }) => pid);
  }

  /** Pids in state T. */
  stopped(): number[] {
    return [...this.processes.values()].filter(({ state }) => state === 'T').map(({ pid }) => pid);
  }

  end(): void {
    process.kill = this.#realKill;
    this.proc.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  #send(pidfd: number, signal: string): Sent {
    const one = this.openPidfds.get(pidfd);
    if (!one) throw new Error(`pidfd ${pidfd} is not open`);
    if (this.processes.get(one.pid) !== one) return 'gone';
    if (this.refuses.get(one.pid) === 'EPERM') return 'not-permitted';
    this.#kill(one.pid, signal);
    return 'sent';
  }

  #kill(pid: number, signal: string): true {
    this.signals.push({ pid, signal });
    const one = this.processes.get(pid);
    const code = this.refuses.get(pid) ?? (one ? undefined : 'ESRCH');
    if (code !== undefined || !one) throw Object.assign(new Error(`kill ${code}`), { code });
    if (signal === 'SIGSTOP' && one.state !== 'Z') one.onStop(one);
    if (signal === 'SIGCONT' && one.state === 'T') one.state = 'S';
    this.#writeStat(one);
    return true;
  }
}

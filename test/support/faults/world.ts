/**
 * What a history happens in: a host with its worker, guard and Redis, and processes on it. Two worlds implement it, one of
 * real parts and a simulated one, so that both are played and checked by the same code. A world does what it is told
 * and says what can be seen; it judges nothing.
 */
import type { ProcessId } from '../../../shared/target.ts';
import type { HostFacts, SeenLoop } from './checker.ts';
import type { Fault, HoldScope } from './history.ts';
import type { Answer, GivenOrder } from './model.ts';

export interface World {
  readonly facts: HostFacts;
  /** Redis's clock, milliseconds since 1970, as orders count it. */
  nowMs(): number;
  /** A clock that only goes on, for spans: milliseconds. */
  clockMs(): number;
  /** Waits until `isSo`; false: it was not within `limitMs`. */
  until(isSo: () => boolean, limitMs: number): Promise<boolean>;
  birth(account: number, parent: ProcessId | null): Promise<ProcessId>;
  /** Ends these and sees them gone. */
  death(processes: readonly ProcessId[]): Promise<void>;
  /** Gives an order, or begins to: where nobody can answer, or nobody shall wait, what came of it is unknown. */
  send(order: GivenOrder, shallWait: boolean): Promise<Answer>;
  /** Puts or lifts a hold. */
  hold(scope: HoldScope, isOn: boolean): Promise<void>;
  /** Does it, and returns when it is done to the parts; what they make of it is to be seen. */
  fault(fault: Fault): Promise<void>;
  /** The release script, as systemd runs it after a stop, or `hobbler release-all`. */
  releaseByScript(): Promise<void>;
  /** Processes of this history that are stopped or frozen at this moment. */
  stopped(): ProcessId[];
  /** What else must never happen, seen since the last look: a stranger signalled, two loops on one process. */
  offences(): string[];
  /** A guard listens. */
  hasGuard(): boolean;
  /** The worker carries out orders, and a guard listens. */
  isWell(): boolean;
  /** What the host reports; null where nobody can be asked. */
  loops(): Promise<SeenLoop[] | null>;
  /** After a history: no process, hold or order of it is left, and every part is well. */
  clear(): Promise<void>;
  /** What the parts have said lately, for a message. */
  said(): string;
}

export interface RealWorldOptions {
  /** Worker and guard under strace. */
  isTraced: boolean;
  /** Between two looks at a condition, milliseconds: how fine times to release are measured. */
  lookEveryMs?: number;
  /** A target that is no part of any history. */
  ignores?: string;
}

/** How long each kind of release took, and how often each fault was done. One per run. */
export interface Figures {
  histories: number;
  steps: number;
  orders: number;
  looks: number;
  /** Signals that strace saw, each held against identities. */
  signals: number;
  readonly faults: Map<string, number>;
  readonly releasesMs: Map<string, number[]>;
}

export function newFigures(): Figures {
  return { histories: 0, steps: 0, orders: 0, looks: 0, signals: 0, faults: new Map(), releasesMs: new Map() };
}

export function countFault(figures: Figures, fault: string): void {
  figures.faults.set(fault, (figures.faults.get(fault) ?? 0) + 1);
}

export function noteRelease(figures: Figures, after: string, tookMs: number): void {
  const all = figures.releasesMs.get(after) ?? [];
  all.push(tookMs);
  figures.releasesMs.set(after, all);
}

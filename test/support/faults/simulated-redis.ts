/**
 * A Redis that is not there: of its commands and of our scripts what a worker's orders need, in memory, and able to be
 * away, full, slow to answer, lost or older than it was. For the simulated world; that the scripts themselves do what
 * is written here is tested on a real server (test/redis/shared).
 */
import type { Redis } from '../../../shared/redis/connection.ts';
import { loadScript } from '../../../shared/redis/scripts.ts';

export type RedisState = 'up' | 'full' | 'paused' | 'down';

interface Content {
  strings: Map<string, { text: string; endsAtMs: number }>;
  hashes: Map<string, Map<string, string>>;
  revisions: Map<string, Map<string, number>>;
}

type Arg = string | number;
type Run = (keys: string[], args: string[]) => unknown;

const emptyContent = (): Content => ({ strings: new Map(), hashes: new Map(), revisions: new Map() });

export class SimulatedRedis {
  readonly #nowMs: () => number;
  #content = emptyContent();
  #snapshot = emptyContent();
  #state: RedisState = 'up';
  #waiting: (() => void)[] = [];
  readonly #scripts: Map<string, { run: Run; isWrite: boolean }>;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    const scripts: [string, Run, boolean][] = [
      ['put-orders', (keys, args) => this.#putAll(keys, args), true],
      ['put-fleet-order', (keys, args) => this.#putFleet(keys, args), true],
      ['forget-orders', () => 0, true],
      ['take-lease', (keys, args) => this.#takeLease(keys, args), true],
      ['give-lease', (keys, args) => this.#giveLease(keys, args), true],
    ];
    this.#scripts = new Map(scripts.map(([name, run, isWrite]) => [loadScript(name).sha1, { run, isWrite }]));
  }

  get state(): RedisState {
    return this.#state;
  }

  setState(state: RedisState): void {
    this.#state = state;
    if (state === 'paused') return;
    for (const run of this.#waiting.splice(0)) run();
  }

  lose(): void {
    this.#content = emptyContent();
  }

  takeSnapshot(): void {
    this.#snapshot = structuredClone(this.#content);
  }

  restore(): void {
    this.#content = structuredClone(this.#snapshot);
  }

  set(key: string, text: string, forMs = Number.POSITIVE_INFINITY): void {
    this.#content.strings.set(key, { text, endsAtMs: this.#nowMs() + forMs });
  }

  delete(key: string): void {
    this.#content.strings.delete(key);
  }

  /** A connection as the worker's parts use it. Once its owner has ended, nothing is ever answered. */
  connect(isOwnerAlive: () => boolean): Redis {
    const ask =
      <Args extends Arg[], T>(run: (...args: Args) => T, isWrite = false) =>
      (...args: Args): Promise<T> =>
        this.#answer(() => run(...args), isWrite, isOwnerAlive);
    const connection = {
      get: ask((key: string) => this.#get(key)),
      time: ask(() => {
        const ms = this.#nowMs();
        return [String(Math.floor(ms / 1000)), String(Math.round((ms % 1000) * 1000))];
      }),
      hgetall: ask((key: string) => Object.fromEntries(this.#hash(key))),
      // A small hash comes whole, as it does from Redis.
      hscan: ask((key: string) => ['0', [...this.#hash(key)].flat()]),
      hget: ask((key: string, field: string) => this.#hash(key).get(field) ?? null),
      hmget: ask((key: string, ...fields: string[]) => fields.map((field) => this.#hash(key).get(field) ?? null)),
      zrangebyscore: ask((key: string, above: string) => {
        const since = Number(above.slice(1));
        return [...(this.#content.revisions.get(key) ?? [])].filter(([, at]) => at > since).map(([target]) => target);
      }),
      pipeline: () => ({ xadd: () => {}, exec: ask(() => [] as [Error | null, unknown][], true) }),
      evalsha: (sha1: string, keyCount: number, ...rest: Arg[]) => {
        const script = this.#scripts.get(sha1);
        if (!script) throw new Error(`no such script: ${sha1}`);
        const words = rest.map(String);
        const run = () => script.run(words.slice(0, keyCount), words.slice(keyCount));
        return this.#answer(run, script.isWrite, isOwnerAlive);
      },
    };
    return connection as unknown as Redis;
  }

  #answer<T>(run: () => T, isWrite: boolean, isOwnerAlive: () => boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = () => {
        if (!isOwnerAlive()) return;
        if (this.#state === 'down') reject(new Error('Connection is closed.'));
        else if (isWrite && this.#state === 'full') reject(new Error('OOM command not allowed'));
        else resolve(run());
      };
      if (this.#state === 'paused') this.#waiting.push(answer);
      else answer();
    });
  }

  #hash(key: string): Map<string, string> {
    const hash = this.#content.hashes.get(key) ?? new Map<string, string>();
    this.#content.hashes.set(key, hash);
    return hash;
  }

  #get(key: string): string | null {
    const found = this.#content.strings.get(key);
    return found && found.endsAtMs > this.#nowMs() ? found.text : null;
  }

  #put([key]: string[], [target, version, text]: string[]): string[] {
    const current = this.#hash(key!).get(target!);
    if (current === text) return ['same'];
    const standing = current === undefined ? 0 : (JSON.parse(current) as { version: number }).version;
    if (standing >= Number(version)) return ['stale', String(standing)];
    this.#hash(key!).set(target!, text!);
    return ['written'];
  }

  #putAll(keys: string[], [, ...args]: string[]): string[][] {
    const replies: string[][] = [];
    for (let index = 0; index < args.length; index += 3) replies.push(this.#put(keys, args.slice(index, index + 3)));
    return replies;
  }

  #putFleet([key, revisions, revision]: string[], args: string[]): string[] {
    const result = this.#put([key!], args);
    if (result[0] !== 'written') return result;
    const next = Math.max(Number(this.#get(revision!) ?? 0) + 1, Math.round(this.#nowMs() * 1000));
    this.set(revision!, String(next));
    const all = this.#content.revisions.get(revisions!) ?? new Map<string, number>();
    this.#content.revisions.set(revisions!, all.set(args[0]!, next));
    return result;
  }

  #takeLease([lease, last]: string[], [asker, ttlMs, held]: string[]): string[] {
    const current = this.#get(lease!);
    const [epochHeld, owner] =
      current === null ? [] : [current.split(' ', 1)[0]!, current.slice(current.indexOf(' ') + 1)];
    if (owner === asker) {
      this.set(lease!, current!, Number(ttlMs));
      return ['held', epochHeld!];
    }
    const machineOf = (text: string) => text.slice(0, text.lastIndexOf('#'));
    if (owner !== undefined && machineOf(owner) !== machineOf(asker!)) return ['other', epochHeld!, '1000'];
    let epoch = held!;
    const lastEpoch = this.#get(last!) ?? '0';
    if (epoch === '0' || epoch !== lastEpoch) {
      epoch = String(Number(lastEpoch) + 1);
      this.set(last!, epoch);
    }
    this.set(lease!, `${epoch} ${asker}`, Number(ttlMs));
    return ['held', epoch];
  }

  #giveLease([lease]: string[], [asker]: string[]): number {
    if (!this.#get(lease!)?.endsWith(` ${asker}`)) return 0;
    this.delete(lease!);
    return 1;
  }
}

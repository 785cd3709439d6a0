/**
 * Histories of two producers on one Redis, with a real worker and real processes: readings come to either, each is killed in
 * turn, at any moment, and who sends readings does what docs/contract.md says: he tries again, at the other door, until
 * one has answered. Then every account is where its newest reading puts it. Over HTTP alone; of the policy nothing is known
 * here but that more than the limit is too much.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expectNothingLeft, readState, signalExactly, spawnSleepers, type TestProcess } from '../processes.ts';
import { connectTest, startRedis, type TestRedis } from '../redis.ts';
import { startService, type TestService } from '../service.ts';
import { until } from '../until.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../worker.ts';

const TOKEN = 'a-token-for-this-test-only';
const FIRST_UID = 100_000 + process.pid * 8;
const ACCOUNTS = 4;
const LIMIT = 2_000;
/** A producer that was killed in the middle of a request says nothing more. */
const ANSWER_LIMIT_MS = 3_000;
const SETTLE_LIMIT_MS = 30_000;

export type ProducerStep =
  | { do: 'reading'; account: number; isOver: boolean; door: number; isWatched: boolean }
  | { do: 'kill' | 'start'; door: number }
  | { do: 'wait'; ms: number };

const door = fc.nat(1);
const anyProducerHistory: fc.Arbitrary<ProducerStep[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('reading' as const),
        account: fc.nat(ACCOUNTS - 1),
        isOver: fc.boolean(),
        door,
        isWatched: fc.nat(2).map((n) => n > 0),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'start' as const), door }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 5, max: 400 }) }) },
  ),
  { minLength: 10, maxLength: 24 },
);

interface Reading {
  account: number;
  isOver: boolean;
  body: Record<string, unknown>;
}

export class ProducersWorld {
  kills = 0;
  readings = 0;
  readonly #redis: TestRedis;
  readonly #worker: TestWorker;
  readonly #configDir = mkdtempSync(join(tmpdir(), 'hobbler-producers-'));
  readonly #producers: (TestService | undefined)[] = [undefined, undefined];
  readonly #sleepers: TestProcess[];
  #lastAtMs = 0;
  #window = 0;

  static async open(): Promise<ProducersWorld> {
    const redis = await startRedis();
    const worker = await startWorker({ redis, config: { minUid: 1_000 } });
    const sleepers = await Promise.all(
      Array.from({ length: ACCOUNTS }, async (_, account) => {
        const uid = FIRST_UID + account;
        return (await spawnSleepers(1, { uid, gid: uid, cwd: '/' }))[0]!;
      }),
    );
    return new ProducersWorld(redis, worker, sleepers);
  }

  private constructor(redis: TestRedis, worker: TestWorker, sleepers: TestProcess[]) {
    this.#redis = redis;
    this.#worker = worker;
    this.#sleepers = sleepers;
    // Idle processes, cycled all the same; and nobody stays in for a minute because he has just come.
    const ladder = '{ levels: [{ runMs: 10, stopMs: 200, mechanism: signal }], grace: 0s }';
    const text = `producer: { dwell: 0s, brake: off, ladders: { standard: ${ladder} } }\n`;
    writeFileSync(join(this.#configDir, 'hobbler.yaml'), text);
  }

  async #start(number: number): Promise<void> {
    if (this.#producers[number]) return;
    const env = { HOBBLER_PRODUCER_TOKEN: TOKEN, HOBBLER_CONFIG: join(this.#configDir, 'hobbler.yaml') };
    this.#producers[number] = await startService('producer', this.#redis, env);
  }

  async #kill(number: number): Promise<void> {
    const producer = this.#producers[number];
    if (!producer) return;
    this.kills++;
    this.#producers[number] = undefined;
    const ended = new Promise((resolve) => producer.child.once('exit', resolve));
    signalExactly(producer, 'SIGKILL');
    await ended;
  }

  /** Plays a history on what stands from earlier ones. Throws when an account is not where its newest reading puts it. */
  async play(history: readonly ProducerStep[]): Promise<void> {
    const newest = new Map<number, Reading>();
    const unanswered: Reading[] = [];
    const underWay: Promise<void>[] = [];
    for (const number of [0, 1]) await this.#start(number);
    for (const step of history) {
      switch (step.do) {
        case 'reading': {
          const reading = this.#reading(step.account, step.isOver);
          newest.set(step.account, reading);
          const sent = this.#post(reading, step.door).then((isTaken) => {
            if (!isTaken) unanswered.push(reading);
          });
          if (step.isWatched) await sent;
          else underWay.push(sent);
          break;
        }
        case 'kill':
          await this.#kill(step.door);
          break;
        case 'start':
          await this.#start(step.door);
          break;
        case 'wait':
          await new Promise((resolve) => setTimeout(resolve, step.ms));
          break;
      }
    }
    await Promise.all(underWay);
    if (!this.#producers.some(Boolean)) await this.#start(0);
    for (const reading of unanswered) {
      // Whichever is there; it may be the one that took it and died before it could say so.
      await until(async () => (await this.#post(reading, 0)) || (await this.#post(reading, 1)), {
        deadlineMs: SETTLE_LIMIT_MS,
        what: 'a producer to take a reading',
      });
    }
    await this.#expect(newest);
  }

  #reading(account: number, isOver: boolean): Reading {
    this.readings++;
    // In the order in which they were taken, whatever the order in which they arrive.
    this.#lastAtMs = Math.max(Date.now(), this.#lastAtMs + 1);
    const used = isOver ? LIMIT + 100 : 5;
    // Its own window, since within one a figure does not fall.
    const window = `window-${++this.#window}`;
    const body = {
      account: `account-${account}`,
      used,
      limit: LIMIT,
      unit: 's',
      window,
      at: this.#lastAtMs,
      id: window,
      host: 'web-1',
      target: `uid:${FIRST_UID + account}`,
    };
    return { account, isOver, body };
  }

  /** True: one has it, by its own word. */
  async #post({ body }: Reading, number: number): Promise<boolean> {
    const producer = this.#producers[number];
    if (!producer) return false;
    try {
      const response = await fetch(`${producer.url}/v1/readings`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      });
      return response.status === 200;
    } catch {
      return false;
    }
  }

  async #expect(newest: ReadonlyMap<number, Reading>): Promise<void> {
    const connection = connectTest(this.#redis);
    try {
      let wrong: string[] = [];
      await until(
        async () => {
          const reports = await connection.hgetall('hobbler:{web-1}:observed');
          wrong = [...newest].flatMap(([account, { isOver }]) => {
            const target = `uid:${FIRST_UID + account}`;
            const isIn = reports[target] !== undefined;
            return isIn === isOver
              ? []
              : [`account-${account}: ${isOver ? 'over' : 'under'}, and ${isIn ? 'in' : 'out'}`];
          });
          return wrong.length === 0;
        },
        { deadlineMs: SETTLE_LIMIT_MS, what: () => `${wrong.join('; ')}; ${this.#said()}` },
      );
    } finally {
      connection.disconnect();
    }
    for (const [account, { isOver }] of newest)
      if (!isOver && readState(this.#sleepers[account]!.pid) === 'T')
        throw new Error(`account-${account} is under its limit, and stopped`);
  }

  #said(): string {
    return this.#producers.map((producer) => producer?.log().slice(-1_500) ?? '(dead)').join('\n---\n');
  }

  async close(): Promise<void> {
    for (const number of [0, 1]) await this.#kill(number);
    await this.#worker.stop();
    await expectNothingLeft();
    await this.#redis.stop();
    removeStateDirs();
    rmSync(this.#configDir, { recursive: true });
  }
}

/** Plays so many histories on one world. Throws with the first that fails, and what to play again. */
export async function playProducers(world: ProducersWorld, histories: number, seed: number): Promise<void> {
  const property = fc.asyncProperty(anyProducerHistory, (history) => world.play(history));
  await fc.assert(property, { numRuns: histories, seed, endOnFailure: true, includeErrorInReport: true });
}

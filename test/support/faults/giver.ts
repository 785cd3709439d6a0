/**
 * Those who give a history's orders: they choose versions, deliver late, twice and in the wrong order, keep what nobody has
 * answered to, and try again until somebody does. Tells the model what it sends and what came of it.
 */
import { CYCLES, type Manner, type Road } from './history.ts';
import { SETTLE_LIMIT_MS } from './limits.ts';
import type { GivenOrder, Model } from './model.ts';
import { canAnswer, type Parts } from './parts.ts';
import type { Figures, World } from './world.ts';

const LONG_MS = 900_000;
export const SHORT_MS = 4_000;
const YEAR_MS = 365 * 86_400_000;
/** Further ahead of Redis's clock than a version may be. */
const AHEAD_MS = 300_000;

export class Giver {
  readonly #world: World;
  readonly #model: Model;
  readonly #parts: Parts;
  readonly #figures: Figures;
  readonly #fail: (faults: readonly string[]) => never;
  readonly #held: GivenOrder[] = [];
  #lastVersion = 0;

  constructor(world: World, model: Model, parts: Parts, figures: Figures, fail: (faults: readonly string[]) => never) {
    this.#world = world;
    this.#model = model;
    this.#parts = parts;
    this.#figures = figures;
    this.#fail = fail;
  }

  tarpit(target: string, cycle: number, road: Road, isShort: boolean): GivenOrder {
    return this.order('tarpit', target, cycle, road, isShort ? SHORT_MS : LONG_MS);
  }

  order(action: GivenOrder['action'], target: string, cycle: number, road: Road, forMs: number): GivenOrder {
    const issuedAtMs = this.#world.nowMs();
    this.#lastVersion = Math.max(issuedAtMs, this.#lastVersion + 1);
    const expiresAtMs = action === 'tarpit' ? issuedAtMs + forMs : 0;
    return { action, target, road, cycle: CYCLES[cycle]!, version: this.#lastVersion, issuedAtMs, expiresAtMs };
  }

  /** Gives an order in that manner. */
  async give(order: GivenOrder, manner: Manner): Promise<void> {
    this.#model.given.push(order);
    if (manner === 'held') {
      this.#held.push(order);
      return;
    }
    await this.#send(order, manner !== 'unwatched');
    if (manner === 'twice') await this.#send(order, true);
  }

  /** Somebody who works waits for the answer; where no answer can come he has it in his outbox, and goes on. */
  async #send(order: GivenOrder, shallWait: boolean): Promise<void> {
    this.#model.sent(order);
    this.#figures.orders++;
    if (this.#parts.redis === 'down') return;
    const isAnswered = shallWait && canAnswer(order.road, this.#parts);
    this.#model.answered(order, await this.#world.send(order, isAnswered));
  }

  /** What was held back arrives, the newest first. */
  async deliver(): Promise<void> {
    for (const order of this.#held.splice(0).sort((a, b) => b.version - a.version)) await this.#send(order, true);
  }

  /** An order given before arrives again, as it was or as of a year ago. */
  async replay(which: number, isAncient: boolean): Promise<void> {
    const { given } = this.#model;
    const order = given[which % Math.max(1, given.length)];
    if (!order || this.#held.includes(order)) return;
    if (!isAncient) return this.#send(order, true);
    const back = (ms: number) => Math.max(1, ms - YEAR_MS);
    const old = { ...order, version: back(order.version), issuedAtMs: back(order.issuedAtMs), road: 'job' as const };
    await this.#send({ ...old, expiresAtMs: order.action === 'tarpit' ? back(order.expiresAtMs) : 0 }, true);
  }

  /** By a clock that is ahead: it must be refused. */
  async fromTheFuture(target: string): Promise<void> {
    if (this.#parts.redis !== 'up' || this.#parts.worker !== 'runs' || this.#parts.hasSecond || this.#model.isHeld)
      return;
    const order = this.tarpit(target, 0, 'job', false);
    order.version += AHEAD_MS;
    const answer = await this.#world.send(order, true);
    if (answer !== 'refused' && answer !== 'unknown') this.#fail([`an order from the future was ${answer}`]);
  }

  /** Who gives orders tries again until there is an answer: that is how nothing is lost. */
  async insist(order: GivenOrder): Promise<void> {
    const endMs = this.#world.clockMs() + SETTLE_LIMIT_MS;
    do {
      await this.#send(order, true);
      if (this.#world.clockMs() > endMs) this.#fail([`nobody answers to an order for ${order.target}`]);
    } while (this.#model.outbox.has(order));
  }
}

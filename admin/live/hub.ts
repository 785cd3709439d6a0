/**
 * Everybody who has a page open, and what they look at. Those who look at the same thing share one rendering, made after
 * each round of the fleet's reading: nobody's open page costs Redis anything. Bounded in streams; each ends with the
 * session that opened it, and in any case after a while, so that the gate is passed anew.
 *
 *   round of the fleet ──► each view drawn once ──► what has changed, to each of its streams
 */
import { type Clock, sleep, type Timer } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { FleetSource } from '../fleet/source.ts';
import type { Part } from '../views/part.ts';
import { type Drawing, draw } from './patch.ts';
import { Stream } from './stream.ts';

/** Something that can be looked at. Drawn for all of one role alike: it is given no session. */
export interface View {
  /** The same for what is drawn alike. */
  key: string;
  draw(): Part[] | Promise<Part[]>;
}

export interface Visitor {
  /** Whether he may still look: his session stands. */
  isWelcome(): boolean;
  /** Who he is, for the bound on one user's pages. */
  name: string;
  /** The digest of what his page shows already; null: not known. */
  shownDigest: string | null;
}

/** Open pages at a time, and of one user. Past it a page refreshes itself by asking, which costs more but waits its turn. */
const MAX_STREAMS = 300;
const MAX_STREAMS_OF_ONE = 20;
/** A beat often enough that no proxy takes the stream for dead; most give up after 60 s. */
const BEAT_EVERY_MS = 15_000;
/** No stream is older: it asks anew, which passes the gate. */
const MAX_AGE_MS = 10 * 60_000;

/** What the hub needs of the fleet's source: to be told of each round, and Redis's clock. */
export type Rounds = Pick<FleetSource, 'watch' | 'nowMs'>;

interface OpenPage {
  stream: Stream;
  visitor: Visitor;
  openedAtMs: number;
}

interface Audience {
  view: View;
  pages: Set<OpenPage>;
}

export class LiveHub {
  readonly #source: Rounds;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #audiences = new Map<string, Audience>();
  #pages = 0;
  #unwatch: (() => void) | undefined;
  #beats: Timer | undefined;
  #isDrawing = false;
  #isDueAgain = false;

  constructor(source: Rounds, clock: Clock, log: Logger) {
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
  }

  /** A stream of what changes in this view. Throws bound-exceeded when too many are open. */
  open(view: View, visitor: Visitor): Stream['body'] {
    if (this.#pages >= MAX_STREAMS || this.#pagesOf(visitor.name) >= MAX_STREAMS_OF_ONE) {
      throw new HobblerError('bound-exceeded', 'too many pages are open', {
        expected: `at most ${MAX_STREAMS}, ${MAX_STREAMS_OF_ONE} of one user`,
        hint: 'close some; this one still refreshes itself, less often',
      });
    }
    const audience = this.#audiences.get(view.key) ?? { view, pages: new Set() };
    this.#audiences.set(view.key, audience);
    const stream = new Stream(this.#clock, visitor.shownDigest, () => this.#leave(audience, page));
    const page: OpenPage = { stream, visitor, openedAtMs: this.#clock.monotonicMs() };
    audience.pages.add(page);
    this.#pages++;
    this.#unwatch ??= this.#source.watch(() => void this.#drawAll());
    this.#beats ??= this.#clock.every(BEAT_EVERY_MS, () => this.#beat());
    void this.#drawAll();
    return stream.body;
  }

  /** Ends all streams. */
  stop(): void {
    for (const { pages } of this.#audiences.values()) for (const { stream } of [...pages]) stream.destroy();
    this.#rest();
  }

  get openPages(): number {
    return this.#pages;
  }

  #pagesOf(name: string): number {
    let count = 0;
    for (const { pages } of this.#audiences.values())
      for (const { visitor } of pages) if (visitor.name === name) count++;
    return count;
  }

  /** Forgets a page; its audience too when it was the last. */
  #leave({ view, pages }: Audience, page: OpenPage): void {
    if (!pages.delete(page)) return;
    this.#pages--;
    if (pages.size === 0 && this.#audiences.get(view.key)?.pages === pages) this.#audiences.delete(view.key);
    if (this.#pages === 0) this.#rest();
  }

  #rest(): void {
    this.#unwatch?.();
    this.#beats?.cancel();
    this.#unwatch = undefined;
    this.#beats = undefined;
  }

  /** Draws every view once and tells its pages. One at a time; a round that ends meanwhile is drawn after it. */
  async #drawAll(): Promise<void> {
    if (this.#isDrawing) {
      this.#isDueAgain = true;
      return;
    }
    this.#isDrawing = true;
    do {
      this.#isDueAgain = false;
      for (const audience of [...this.#audiences.values()]) {
        this.#dismiss(audience);
        if (audience.pages.size === 0) continue;
        await this.#drawFor(audience);
        // In between, whoever asks for a page gets his turn.
        await sleep(this.#clock, 0);
      }
    } while (this.#isDueAgain);
    this.#isDrawing = false;
  }

  async #drawFor({ view, pages }: Audience): Promise<void> {
    let drawing: Drawing;
    try {
      drawing = draw(await view.draw());
    } catch (error) {
      // Redis away is no fault of the page, and is said elsewhere; it goes on when that is back.
      const isExpected = error instanceof HobblerError && error.code === 'redis-unavailable';
      this.#log[isExpected ? 'debug' : 'error']({ err: error, view: view.key }, 'a live page cannot be drawn');
      return;
    }
    for (const { stream } of [...pages]) stream.show(drawing, this.#nowMs());
  }

  /** Whoever's session is over is told so, and gets nothing more. */
  #dismiss(audience: Audience): void {
    const nowMs = this.#clock.monotonicMs();
    for (const page of [...audience.pages]) {
      if (!page.visitor.isWelcome()) page.stream.end('session');
      else if (nowMs - page.openedAtMs > MAX_AGE_MS) page.stream.end('anew');
      else continue;
      this.#leave(audience, page);
    }
  }

  #beat(): void {
    for (const audience of [...this.#audiences.values()]) {
      this.#dismiss(audience);
      for (const { stream } of [...audience.pages]) stream.beat(this.#nowMs());
    }
  }

  #nowMs(): number {
    return this.#source.nowMs;
  }
}

/**
 * One open page's stream of server-sent events. Owns back-pressure: a page that does not take what it is sent gets nothing
 * more, and when it does again, all of it anew; one that never does is let go. What waits for it is bounded.
 */
import { Readable } from 'node:stream';
import type { Clock } from '../../shared/clock.ts';
import { type Drawing, type Patch, patchBetween } from './patch.ts';

/** A page that has taken nothing for so long has gone, or its network has, milliseconds. */
const CHOKED_LIMIT_MS = 30_000;
/** What may wait for a page before it is sent nothing more; the message that goes past it is whole. */
const MAX_WAITING_BYTES = 16 * 1024;
/** After how long a page that lost its stream asks for it again, milliseconds. */
const RETRY_MS = 1_000;

export class Stream {
  readonly body: Readable;
  readonly #clock: Clock;
  /** What the page shows; null: nobody knows, so all of it must be sent. */
  #shown: Drawing | null = null;
  /** What it said that it shows, when it asked. */
  #shownDigest: string | null;
  #chokedSinceMs: number | null = null;
  #isEnded = false;

  constructor(clock: Clock, shownDigest: string | null, onEnd: () => void) {
    this.#clock = clock;
    this.#shownDigest = shownDigest;
    this.body = new Readable({
      highWaterMark: MAX_WAITING_BYTES,
      // Asked for more: what was sent has been taken.
      read: () => {
        this.#chokedSinceMs = null;
      },
      destroy: (error, done) => {
        this.#isEnded = true;
        onEnd();
        done(error);
      },
    });
    this.#send(`retry: ${RETRY_MS}\n\n`);
  }

  /** Tells the page what has changed since it was told last. `nowMs` by Redis's clock. */
  show(drawing: Drawing, nowMs: number): void {
    if (this.#isEnded || this.#isChoked()) return;
    const isAsShown = this.#shownDigest === drawing.digest;
    this.#shownDigest = null;
    const patch = isAsShown ? null : patchBetween(this.#shown, drawing);
    this.#shown = drawing;
    if (patch !== null) this.#tell('patch', { nowMs, ...patch } satisfies Patch & { nowMs: number }, drawing.digest);
  }

  /** Says that all is well, and what time it is. */
  beat(nowMs: number): void {
    if (!this.#isEnded && !this.#isChoked()) this.#tell('beat', { nowMs });
  }

  /** Ends it; the page asks anew, or for a login. */
  end(why: 'session' | 'anew'): void {
    if (this.#isEnded) return;
    this.#tell('end', { why });
    this.#isEnded = true;
    this.body.push(null);
  }

  destroy(): void {
    this.body.destroy();
  }

  #isChoked(): boolean {
    if (this.#chokedSinceMs === null) return false;
    // What it missed meanwhile is not kept for it.
    this.#shown = null;
    if (this.#clock.monotonicMs() - this.#chokedSinceMs > CHOKED_LIMIT_MS) this.destroy();
    return true;
  }

  #tell(event: string, content: object, id?: string): void {
    const idLine = id === undefined ? '' : `id: ${id}\n`;
    this.#send(`event: ${event}\n${idLine}data: ${JSON.stringify(content)}\n\n`);
  }

  #send(text: string): void {
    if (!this.body.push(text)) this.#chokedSinceMs ??= this.#clock.monotonicMs();
  }
}

/**
 * The queue in front of the judging: batches of any size come in, passes of an even size go out. Small batches of one
 * moment share a pass, large ones are spread over several, and senders take turns, so that one who sends a million
 * keeps nobody else waiting. Bounded in all and per sender; past that the sender is told when to come back. A batch is
 * answered when every reading of it is judged and written down, so nothing that was acknowledged is in here.
 *
 *   sender a  ▮▮▮▮▮▮▮▮ ─┐
 *   sender b  ▮ ────────┼──► pass of at most passReadings ──► judge ──► answers
 *   sender c  ▮▮ ───────┘
 */
import type { Clock } from '../../shared/clock.ts';
import { TooMuch } from './too-much.ts';

/** What came of a batch. */
export interface BatchResult {
  accepted: number;
  /** By position in what was given. */
  refused: { index: number; why: string }[];
}

export interface ReadingQueueOptions<T> {
  /** One pass; never called before the last one has ended. Rejects when nothing of it may count as written. */
  judge: (readings: readonly T[]) => Promise<BatchResult>;
  clock: Clock;
  /** Readings that may wait or be judged, of all senders and of one. A single batch is taken whatever its size when nothing else of its sender waits. */
  maxWaiting: number;
  maxWaitingOfSender: number;
  passReadings: number;
}

/** A batch on its way. */
interface Parcel<T> {
  readings: readonly T[];
  /** The first that is in no pass yet. */
  next: number;
  /** How many are judged. */
  judged: number;
  refused: BatchResult['refused'];
  settle: PromiseWithResolvers<BatchResult>;
  isOver: boolean;
}

interface Slice<T> {
  parcel: Parcel<T>;
  from: number;
  to: number;
}

/** What is said before the first pass has shown how fast it goes, and the bounds of what is said then. */
const RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 30_000;
/** How much the last pass counts in the measured speed. */
const NEW_SHARE = 0.3;

export class ReadingQueue<T> {
  readonly #options: ReadingQueueOptions<T>;
  /** By sender, in the order in which they get their turn. */
  readonly #lanes = new Map<string, Parcel<T>[]>();
  readonly #waitingOf = new Map<string, number>();
  #waiting = 0;
  #isRunning = false;
  #perMs: number | null = null;

  constructor(options: ReadingQueueOptions<T>) {
    this.#options = options;
  }

  /** Readings taken and not answered yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Has a batch of this sender judged. Resolves when all of it is written down. Rejects with TooMuch when too much
   * waits; with what the judging rejected with, which a part of it may then have been through all the same; and with
   * the signal's reason when that is aborted first: what is in no pass yet is then dropped.
   */
  async accept(sender: string, readings: readonly T[], signal?: AbortSignal): Promise<BatchResult> {
    signal?.throwIfAborted();
    if (readings.length === 0) return { accepted: 0, refused: [] };
    this.#requireRoom(sender, readings.length);
    const parcel: Parcel<T> = {
      readings,
      next: 0,
      judged: 0,
      refused: [],
      settle: Promise.withResolvers(),
      isOver: false,
    };
    const lane = this.#lanes.get(sender) ?? [];
    lane.push(parcel);
    this.#lanes.set(sender, lane);
    this.#count(sender, readings.length);
    const onAbort = () => this.#end(parcel, signal!.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    void this.#run();
    try {
      return await parcel.settle.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#count(sender, -readings.length);
    }
  }

  #requireRoom(sender: string, more: number): void {
    const { maxWaiting, maxWaitingOfSender } = this.#options;
    const own = this.#waitingOf.get(sender) ?? 0;
    const isFull = this.#waiting > 0 && this.#waiting + more > maxWaiting;
    // A single one that is larger than its share is no reason to refuse it for ever.
    const isOverShare = own > 0 && own + more > maxWaitingOfSender;
    if (!isFull && !isOverShare) return;
    throw new TooMuch(
      isFull ? 'too many readings wait' : 'too many readings of this sender wait',
      this.#retryAfterMs(isFull ? this.#waiting : own),
      { got: isFull ? this.#waiting : own },
    );
  }

  /** When about half of what waits will be through. */
  #retryAfterMs(waiting: number): number {
    if (this.#perMs === null) return RETRY_AFTER_MS;
    return Math.min(Math.max(waiting / 2 / this.#perMs, RETRY_AFTER_MS), MAX_RETRY_AFTER_MS);
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Batches that come in the same turn of the event loop share the first pass.
    await Promise.resolve();
    for (let slices = this.#nextPass(); slices.length > 0; slices = this.#nextPass()) await this.#pass(slices);
    this.#isRunning = false;
  }

  async #pass(slices: readonly Slice<T>[]): Promise<void> {
    const { judge, clock } = this.#options;
    const readings = slices.flatMap(({ parcel, from, to }) => parcel.readings.slice(from, to));
    const startedAtMs = clock.monotonicMs();
    let result: BatchResult;
    try {
      result = await judge(readings);
    } catch (error) {
      for (const { parcel } of slices) this.#end(parcel, error);
      return;
    }
    this.#measure(readings.length, clock.monotonicMs() - startedAtMs);
    const refused = result.refused.toSorted((a, b) => a.index - b.index);
    let start = 0;
    let at = 0;
    for (const { parcel, from, to } of slices) {
      const end = start + to - from;
      for (; at < refused.length && refused[at]!.index < end; at++) {
        parcel.refused.push({ index: refused[at]!.index - start + from, why: refused[at]!.why });
      }
      start = end;
      parcel.judged += to - from;
      if (parcel.judged < parcel.readings.length || parcel.isOver) continue;
      parcel.isOver = true;
      parcel.settle.resolve({
        accepted: parcel.readings.length - parcel.refused.length,
        refused: parcel.refused,
      });
    }
  }

  /** Readings of every sender in turn, each as many as is fair; what is left over goes to who has more. */
  #nextPass(): Slice<T>[] {
    const slices: Slice<T>[] = [];
    let room = this.#options.passReadings;
    while (room > 0 && this.#lanes.size > 0) {
      const share = Math.max(1, Math.floor(room / this.#lanes.size));
      for (const [sender, lane] of [...this.#lanes]) {
        const taken = takeFrom(lane, Math.min(share, room));
        slices.push(...taken);
        for (const { from, to } of taken) room -= to - from;
        // Behind the others, so that he who was first is last the next time.
        this.#lanes.delete(sender);
        if (lane.length > 0) this.#lanes.set(sender, lane);
        if (room === 0) break;
      }
    }
    return slices;
  }

  /** Ends a batch without an answer; what is in no pass yet is dropped. */
  #end(parcel: Parcel<T>, reason: unknown): void {
    if (parcel.isOver) return;
    parcel.isOver = true;
    parcel.next = parcel.readings.length;
    parcel.settle.reject(reason);
  }

  #count(sender: string, more: number): void {
    this.#waiting += more;
    const own = (this.#waitingOf.get(sender) ?? 0) + more;
    if (own === 0) this.#waitingOf.delete(sender);
    else this.#waitingOf.set(sender, own);
  }

  #measure(readings: number, tookMs: number): void {
    const perMs = readings / Math.max(tookMs, 1);
    this.#perMs = this.#perMs === null ? perMs : this.#perMs + NEW_SHARE * (perMs - this.#perMs);
  }
}

/** Takes up to `room` readings from the front of a lane; batches that are used up leave it. */
function takeFrom<T>(lane: Parcel<T>[], room: number): Slice<T>[] {
  const slices: Slice<T>[] = [];
  let left = room;
  while (lane.length > 0) {
    const parcel = lane[0]!;
    const from = parcel.next;
    const to = Math.min(from + left, parcel.readings.length);
    if (to > from) slices.push({ parcel, from, to });
    parcel.next = to;
    left -= to - from;
    if (parcel.next < parcel.readings.length) break;
    lane.shift();
  }
  return slices;
}

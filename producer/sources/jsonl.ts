/**
 * Readings as JSON lines, from a file or standard input. Owns feeding them to the intake in batches; a bad line is
 * refused alone, with its number. Waits out an absent Redis rather than lose a line.
 */
import { createReadStream } from 'node:fs';
import { type Clock, sleep, type Timer } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import { boundedLines } from '../../shared/lines.ts';
import type { IntakeResult } from '../intake.ts';
import { MAX_READING_CHARS, parseReadingText, type ReadingInput } from '../reading.ts';

export interface FeedResult {
  accepted: number;
  refused: number;
  /** The first refusals, by line number from 1. */
  refusals: { line: number; why: string }[];
}

export interface FeedOptions {
  accept: (inputs: readonly ReadingInput[]) => Promise<IntakeResult>;
  clock: Clock;
  /** Called once for each time of waiting. */
  onWaiting?: (why: string) => void;
  /** Ends the feed before its next batch. */
  signal?: AbortSignal;
}

/** Lines per batch: large enough for few round trips, small enough that the first order does not wait for the last line. */
const BATCH_LINES = 1_000;
/** A line waits no longer for others than this, milliseconds: a pipe may bring one a minute. */
const LINGER_MS = 200;
const MAX_REFUSALS_KEPT = 100;
/** Pause while Redis is away or too much waits, milliseconds. */
const WAIT_MS = 1_000;

/** Feeds the file at `path` (`-`: standard input). Rejects when it cannot be read. */
export async function feedFile(path: string, options: FeedOptions): Promise<FeedResult> {
  const stream = path === '-' ? process.stdin : createReadStream(path);
  try {
    return await feedReadings(stream, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new HobblerError('invalid-input', `cannot be read (${(error as Error).message})`, { where: path });
  }
}

/** Feeds readings from any stream of bytes or text, and reports the counts. */
export async function feedReadings(
  source: AsyncIterable<Buffer | string>,
  { accept, clock, onWaiting, signal }: FeedOptions,
): Promise<FeedResult> {
  const result: FeedResult = { accepted: 0, refused: 0, refusals: [] };
  let batch: Numbered[] = [];
  let timer: Timer | undefined;
  let fed = Promise.resolve();
  const feed = async (lines: readonly Numbered[]) => {
    const inputs = lines.map(({ input }) => input);
    const { accepted, refused } = await patiently(() => accept(inputs), clock, onWaiting, signal);
    result.accepted += accepted;
    result.refused += refused.length;
    for (const { index, why } of refused) {
      if (result.refusals.length < MAX_REFUSALS_KEPT) result.refusals.push({ line: lines[index]!.line, why });
    }
  };
  const flush = () => {
    timer?.cancel();
    timer = undefined;
    const lines = batch;
    batch = [];
    // One after the other: readings of one account stay in their order.
    if (lines.length > 0) fed = fed.then(() => feed(lines));
    return fed;
  };
  try {
    let lineNumber = 0;
    for await (const line of boundedLines(source, MAX_READING_CHARS)) {
      if (signal?.aborted) return result;
      lineNumber++;
      if (line.trim() === '') continue;
      batch.push({ line: lineNumber, input: parseReadingText(line) });
      if (batch.length >= BATCH_LINES) await flush();
      // What fails then fails the next batch as well, where it is told.
      else timer ??= clock.after(LINGER_MS, () => void flush().catch(() => {}));
    }
    await flush();
    return result;
  } finally {
    timer?.cancel();
  }
}

interface Numbered {
  line: number;
  input: ReadingInput;
}

/** Tries again while Redis is away or too much waits. Rejects with everything else, and when `signal` says to end. */
export async function patiently<T>(
  work: () => Promise<T>,
  clock: Clock,
  onWaiting: FeedOptions['onWaiting'],
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof HobblerError ? error.code : undefined;
      if ((code !== 'redis-unavailable' && code !== 'bound-exceeded') || signal?.aborted) throw error;
      if (isFirst) onWaiting?.((error as Error).message);
      await sleep(clock, WAIT_MS);
    }
  }
}

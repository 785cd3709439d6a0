/**
 * Cuts a stream of lines into requests of a bounded size, in order, and adds up what came of them. Owns the positions
 * by which refusals name a line; sends nothing itself. Holds one batch in memory, however long the stream is.
 */
import type { Refusal, SendResult } from './messages.ts';

/** A batch is as many lines as the config says, but no more bytes than half of what a producer takes at once. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** The longest line that a producer looks at; a longer one would only cost the way there. */
export const MAX_LINE_CHARS = 16_384;
const MAX_REFUSALS_KEPT = 100;

/** What a producer says of one batch; positions count within it. */
export interface BatchAnswer {
  accepted: number;
  refused: readonly Refusal[];
  /** Refusals beyond those that are spelled out. */
  refusedMore: number;
}

export interface BatchOptions {
  /** Lines in one request, from 1. */
  maxLines: number;
  send: (text: string) => Promise<BatchAnswer>;
  onRefused?: ((refusal: Refusal) => void) | undefined;
}

/** Sends all lines, one batch after the other; blank ones count for positions and are not sent. Rejects as `send` does. */
export async function sendInBatches(
  lines: AsyncIterable<string> | Iterable<string>,
  { maxLines, send, onRefused }: BatchOptions,
): Promise<SendResult> {
  const result: SendResult = { accepted: 0, refused: 0, refusals: [] };
  const refuse = (refusal: Refusal) => {
    result.refused++;
    if (result.refusals.length < MAX_REFUSALS_KEPT) result.refusals.push(refusal);
    onRefused?.(refusal);
  };
  let texts: string[] = [];
  let indices: number[] = [];
  let sizeBytes = 0;
  const flush = async () => {
    if (texts.length === 0) return;
    const answer = await send(texts.join('\n'));
    result.accepted += answer.accepted;
    for (const { index, why } of answer.refused) refuse({ index: indices[index] ?? -1, why });
    result.refused += answer.refusedMore;
    texts = [];
    indices = [];
    sizeBytes = 0;
  };
  let index = -1;
  for await (const line of lines) {
    index++;
    if (line.trim() === '') continue;
    if (line.length > MAX_LINE_CHARS) {
      refuse({ index, why: `reading: expected at most ${MAX_LINE_CHARS} characters; got ${line.length}` });
      continue;
    }
    const lineBytes = Buffer.byteLength(line) + 1;
    if (sizeBytes + lineBytes > MAX_BATCH_BYTES) await flush();
    texts.push(line);
    indices.push(index);
    sizeBytes += lineBytes;
    if (texts.length >= maxLines) await flush();
  }
  await flush();
  return result;
}

/**
 * The readings of a burst, and what must stand in Redis when they are all acknowledged. Owns the arithmetic: which
 * account reports what in which round, and who crosses his limit when. Sends nothing.
 *
 * Every other account reports a figure (`used`), the others a running total, whose gains the ledger adds up: a reading
 * that is lost shows in the one, and one that counts twice in the other.
 */
import type { Reading } from '../../../client/messages.ts';

/** No account reaches it but by crossing, which is one step far beyond. */
export const LIMIT = 1_000_000;
/** One account in so many crosses its limit, once. */
const ONE_CROSSES_IN = 100;

export interface Load {
  accounts: number;
  rounds: number;
}

export const nameOf = (account: number) => `user-${account}`;
export const isTotal = (account: number) => account % 2 === 1;
/** The round in which an account crosses its limit; null: never. Spread over all rounds but the first. */
export function crossingRound(account: number, { rounds }: Load): number | null {
  if (account % ONE_CROSSES_IN !== 0 || rounds < 2) return null;
  return 1 + ((account / ONE_CROSSES_IN) % (rounds - 1));
}

/** What an account has used by a round: a step a round, and the leap of who crosses. */
export function usedBy(account: number, round: number, load: Load): number {
  const crosses = crossingRound(account, load);
  return 1 + round + (crosses !== null && round >= crosses ? 2 * LIMIT : 0);
}

/** The readings of one sender's share of the accounts, in order. `onCrossing` is told when one is handed out. */
export function* readingsOf(
  load: Load,
  { sender, senders }: { sender: number; senders: number },
  nowMs: () => number,
  onCrossing: (account: number, atMs: number) => void,
): Generator<Reading> {
  let lastMs = 0;
  for (let round = 0; round < load.rounds; round++) {
    // All of a round at one time, and each round later than the one before.
    lastMs = Math.max(lastMs + 1, nowMs());
    for (let account = sender; account < load.accounts; account += senders) {
      const amount = usedBy(account, round, load);
      if (round === crossingRound(account, load)) onCrossing(account, nowMs());
      yield {
        account: nameOf(account),
        ...(isTotal(account) ? { total: amount } : { used: amount }),
        at: lastMs,
        id: `${account}-${round}`,
      };
    }
  }
}

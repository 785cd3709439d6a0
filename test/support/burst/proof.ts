/**
 * Whether anything acknowledged was lost or doubled, by what stands in Redis alone. Each account is looked at: its last
 * figure or the sum of its counter's gains, the ids it remembers, and its orders.
 */
import { ledgerKey } from '../../../shared/keys.ts';
import type { connectTest } from '../redis.ts';
import { crossingRound, isTotal, type Load, nameOf, usedBy } from './load.ts';

/** By kind: some of the accounts concerned, with what was found. Empty lists: none. */
export interface Faults {
  /** What was acknowledged last is not there. */
  lost: string[];
  /** A gain, an id or an order counts more than once. */
  doubled: string[];
  /** Orders that are not there, or should not be. */
  orders: string[];
}

const AT_A_TIME = 1_000;
const SHOWN = 20;

/** Every account, looked at in Redis. `orders`: by target, when it was tarpitted. */
export async function findFaults(
  redis: ReturnType<typeof connectTest>,
  load: Load,
  orders: ReadonlyMap<string, readonly number[]>,
): Promise<Faults> {
  const faults: Faults = { lost: [], doubled: [], orders: [] };
  const note = (kind: keyof Faults, what: string) => {
    if (faults[kind].length < SHOWN) faults[kind].push(what);
  };
  for (let first = 0; first < load.accounts; first += AT_A_TIME) {
    const some = Array.from({ length: Math.min(AT_A_TIME, load.accounts - first) }, (_, n) => first + n);
    const states = await Promise.all(some.map((account) => redis.hget(ledgerKey(nameOf(account)), 'state:account')));
    for (const [n, account] of some.entries()) look(account, states[n] ?? null, load, note);
  }
  for (let account = 0; account < load.accounts; account++) {
    const given = orders.get(`user:${nameOf(account)}`)?.length ?? 0;
    const due = crossingRound(account, load) === null ? 0 : 1;
    if (given > due && due === 1) note('doubled', `${nameOf(account)}: ${given} orders`);
    else if (given !== due) note('orders', `${nameOf(account)}: ${given} orders instead of ${due}`);
  }
  return faults;
}

interface State {
  limits: Record<string, { figure: { used: number } | null }>;
  totals: Record<string, { samples: [atMs: number, total: number, grown: number][] }>;
  ids: string[];
}

function look(
  account: number,
  text: string | null,
  load: Load,
  note: (kind: keyof Faults, what: string) => void,
): void {
  const name = nameOf(account);
  const last = usedBy(account, load.rounds - 1, load);
  if (text === null) {
    note('lost', `${name}: nothing of it`);
    return;
  }
  const { limits, totals, ids } = JSON.parse(text) as State;
  if (new Set(ids).size !== ids.length) note('doubled', `${name}: an id twice`);
  const sample = Object.values(totals)[0]?.samples.at(-1);
  const stands = isTotal(account) ? sample?.[1] : limits.default?.figure?.used;
  if (stands !== last) note('lost', `${name}: ${stands} instead of ${last}`);
  if (!isTotal(account) || !sample) return;
  const gain = last - usedBy(account, 0, load);
  if (sample[2] !== gain)
    note(sample[2] > gain ? 'doubled' : 'lost', `${name}: gained ${sample[2]} instead of ${gain}`);
}

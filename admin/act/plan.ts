/**
 * What an act will do, worked out before anything is done: the orders and pins that it comes to. The page that asks why
 * shows the plan, and the same function makes the one that is carried out. Pure: a reading of the fleet and a wish in, a
 * plan out; it gives no order and knows no Redis.
 */
import { FLEET, type Hobble, type TarpitOrder } from '../../shared/order.ts';
import type { Liveness } from '../../shared/report.ts';
import type { Fleet, TargetRow } from '../fleet/model.ts';

/** What an operator may wish for that comes to orders or pins. Holds are one write and need no plan. */
export const ACTS = ['release', 'release-host', 'release-fleet', 'exempt', 'tarpit', 'extend'] as const;
export type ActName = (typeof ACTS)[number];

export interface PlannedOrder {
  action: 'tarpit' | 'untarpit';
  /** `*` for every host. */
  host: string;
  target: string;
  account: string | null;
  /** For a tarpit. */
  hobble?: Hobble;
  forMs?: number;
  /** What is known there now, for the eye: null where nothing is reported. */
  processes: number | null;
  liveness: Liveness | null;
}

export interface Plan {
  act: ActName;
  /** What the act is about, as its entry in the audit names it. */
  about: { host: string; target?: string; account?: string };
  orders: PlannedOrder[];
  /** Accounts to be pinned out of the tarpit, each once. */
  accounts: string[];
  /** False: too many jobs; hosts find the fleet's orders when they reconcile, within ten seconds. */
  wakesFleet: boolean;
}

/** How many jobs orders for the whole fleet may make; more would fill Redis faster than hosts empty it. */
export const MAX_FLEET_WAKES = 20_000;

/** Lets one target go on a host, or everywhere for `*`. */
export function planRelease(fleet: Fleet, host: string, target: string): Plan {
  const row = rowOf(fleet, host, target);
  const order = untarpit(host, target, row?.account ?? accountOf(fleet, target), row);
  return plan(fleet, 'release', { host, target }, [order]);
}

/** Lets everything of a host go that is not being let go already. */
export function planReleaseHost(fleet: Fleet, host: string): Plan {
  const rows = fleet.targets.filter((row) => row.host === host && row.releasing === null);
  return plan(
    fleet,
    'release-host',
    { host },
    rows.map((row) => untarpit(host, row.target, row.account, row)),
  );
}

/** Lets everything go everywhere: the fleet's orders by one each, and the hosts' own one by one. */
export function planReleaseFleet(fleet: Fleet): Plan {
  return plan(
    fleet,
    'release-fleet',
    { host: FLEET },
    untarpitAll(fleet, () => true),
  );
}

/** Pins an account out of the tarpit and lets go of all that is in it. */
export function planExempt(fleet: Fleet, account: string): Plan {
  const orders = untarpitAll(fleet, (one) => one === account);
  return { ...plan(fleet, 'exempt', { host: FLEET, account }, orders), accounts: [account] };
}

export interface TarpitWish {
  host: string;
  target: string;
  account: string | null;
  hobble: Hobble;
  forMs: number;
}

export function planTarpit(fleet: Fleet, wish: TarpitWish): Plan {
  const { host, target } = wish;
  const account = wish.account ?? rowOf(fleet, host, target)?.account ?? accountOf(fleet, target);
  return { ...plan(fleet, 'tarpit', { host, target }, [tarpit(fleet, { ...wish, account })]), accounts: [] };
}

/** The same duty cycle for another time, counted from now. `standing` is what is to last longer. */
export function planExtend(fleet: Fleet, standing: TarpitOrder, forMs: number): Plan {
  const { host, target, account = null, hobble } = standing;
  const order = tarpit(fleet, { host, target, account, hobble, forMs });
  return { ...plan(fleet, 'extend', { host, target }, [order]), accounts: [] };
}

/** The order that slows a target on a host now, be it the host's own or the fleet's; null when none can be found. */
export function standingTarpit(fleet: Fleet, host: string, target: string): TarpitOrder | null {
  if (host === FLEET) return fleet.fleetOrders.find(({ order }) => order.target === target)?.order ?? null;
  const order = rowOf(fleet, host, target)?.order;
  return order?.action === 'tarpit' ? order : null;
}

export function rowOf(fleet: Fleet, host: string, target: string): TargetRow | null {
  return fleet.targets.find((row) => row.host === host && row.target === target) ?? null;
}

/** Where a target is reported or asked for. */
export function rowsOf(fleet: Fleet, host: string, target: string): TargetRow[] {
  return fleet.targets.filter((row) => row.target === target && (host === FLEET || row.host === host));
}

function untarpitAll(fleet: Fleet, isMeant: (account: string | null) => boolean): PlannedOrder[] {
  const ofFleet = fleet.fleetOrders
    .filter(({ order }) => isMeant(order.account ?? null))
    .map(({ order, activeOn }) => ({
      ...untarpit(FLEET, order.target, order.account ?? null, null),
      processes: activeOn === 0 ? 0 : null,
    }));
  const covered = new Set(ofFleet.map(({ target }) => target));
  const ofHosts = fleet.targets
    .filter((row) => row.releasing === null && isMeant(row.account) && !covered.has(row.target))
    .map((row) => untarpit(row.host, row.target, row.account, row));
  return [...ofFleet, ...ofHosts];
}

function untarpit(host: string, target: string, account: string | null, row: TargetRow | null): PlannedOrder {
  return { action: 'untarpit', host, target, account, ...seen(row) };
}

function tarpit(fleet: Fleet, { host, target, account, hobble, forMs }: TarpitWish): PlannedOrder {
  return { action: 'tarpit', host, target, account, hobble, forMs, ...seen(rowOf(fleet, host, target)) };
}

function seen(row: TargetRow | null): Pick<PlannedOrder, 'processes' | 'liveness'> {
  return { processes: row?.report?.processes ?? null, liveness: row?.liveness ?? null };
}

function accountOf(fleet: Fleet, target: string): string | null {
  return fleet.targets.find((row) => row.target === target && row.account !== null)?.account ?? null;
}

function plan(fleet: Fleet, act: ActName, about: Plan['about'], orders: PlannedOrder[]): Plan {
  const fleetOrders = orders.filter(({ host }) => host === FLEET).length;
  return {
    act,
    about,
    orders,
    accounts: [...new Set(orders.flatMap(({ account }) => (account === null ? [] : [account])))].sort(),
    wakesFleet: fleetOrders * fleet.hosts.length <= MAX_FLEET_WAKES,
  };
}

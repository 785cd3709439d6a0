/**
 * What the pages show, worked out from what Redis holds: a pure function, no clock and no Redis. It sets what hosts
 * report beside what they were asked, and so finds what is pending: a release counts as done only when the worker's
 * report is gone, never because it was sent. An unknown stays null (invariant 9); a broken record hides nothing else.
 */
import { FLEET, hostName, type Order, type TarpitOrder, type UntarpitOrder } from '../../shared/order.ts';
import type { DesiredState } from '../../shared/redis/desired.ts';
import type { Hold, HostView } from '../../shared/redis/fleet.ts';
import type { Liveness, Report, Status } from '../../shared/report.ts';
import type { FleetReading } from './source.ts';

export interface Fleet {
  /** Redis's clock when it was read, milliseconds. */
  nowMs: number;
  hold: Hold | null;
  hosts: HostRow[];
  targets: TargetRow[];
  fleetOrders: FleetOrderRow[];
  /** Untarpits of the last ten minutes, newest first. */
  releases: ReleaseRow[];
  broken: BrokenRow[];
}

export interface HostRow {
  host: string;
  liveness: Liveness;
  status: Status | null;
  /** Ordered by an operator for this host. What the worker makes of it is `status.hold`. */
  hold: Hold | null;
  /** A hold of host or fleet stands, and the living worker does not say yet that it holds. */
  isHoldPending: boolean;
  /** Targets of this host that are in the tarpit or asked to be. */
  targets: number;
}

/** Whose order a target is under: only this host's, the whole fleet's, or one that cannot be found any more. */
export type Scope = 'host' | 'fleet' | 'unknown';

export interface TargetRow {
  host: string;
  liveness: Liveness;
  target: string;
  account: string | null;
  /** Null: asked for, and the worker has not said anything of it yet. */
  report: Report | null;
  /** The order that stands for it now: what it is to be. Null when none can be found. */
  order: Order | null;
  scope: Scope;
  /** The release that the worker has not carried out yet. */
  releasing: UntarpitOrder | null;
}

export interface FleetOrderRow {
  order: TarpitOrder;
  /** Hosts whose reports name this target. */
  reportedBy: number;
  /** Of those, hosts where it has processes now. */
  activeOn: number;
}

export interface ReleaseRow {
  order: UntarpitOrder;
  /** Hosts that still report the target under an older order. */
  pendingOn: { host: string; liveness: Liveness }[];
}

export interface BrokenRow {
  where: string;
  record: string;
  why: string;
}

/** How long a release stays on the page after it was given, milliseconds. */
const RELEASES_SHOWN_FOR_MS = 10 * 60_000;
const MAX_RELEASES = 50;

/** What one host adds to the fleet: made again only when its records, its liveness or the fleet's own records change. */
export interface HostPart {
  row: HostRow;
  targets: TargetRow[];
  releases: UntarpitOrder[];
  broken: BrokenRow[];
  /** When time alone makes it another one, milliseconds of Redis's clock. */
  goodUntilMs: number;
}

/** What the fleet itself holds. */
export interface FleetWide {
  hold: Hold | null;
  orders: DesiredState;
}

export function buildFleet({ view, fleetOrders, hostOrders }: FleetReading): Fleet {
  const wide: FleetWide = { hold: view.hold, orders: fleetOrders };
  const parts = view.hosts.map((host) => buildHost(host, hostOrders.get(host.host) ?? NO_ORDERS, wide, view.nowMs));
  return composeFleet(parts, wide, view.nowMs);
}

export const NO_ORDERS: DesiredState = { records: new Map(), broken: [] };

export function buildHost(view: HostView, own: DesiredState, wide: FleetWide, nowMs: number): HostPart {
  const targets = targetRows(view, own, wide.orders, nowMs);
  const releases = recentReleases(own, nowMs);
  const ends = targets.flatMap(({ report, order }) =>
    report === null && order?.action === 'tarpit' ? [order.expiresAt] : [],
  );
  const leaves = releases.map(({ issuedAt }) => issuedAt + RELEASES_SHOWN_FOR_MS);
  return {
    row: hostRow(view, wide.hold, targets.length),
    targets,
    releases,
    broken: brokenRows(view, own),
    goodUntilMs: [...ends, ...leaves].reduce((first, atMs) => Math.min(first, atMs), Number.POSITIVE_INFINITY),
  };
}

export function composeFleet(parts: readonly HostPart[], { hold, orders }: FleetWide, nowMs: number): Fleet {
  const targets = parts.flatMap((part) => part.targets);
  const releases = [recentReleases(orders, nowMs), ...parts.map((part) => part.releases)].flat();
  return {
    nowMs,
    hold,
    hosts: parts.map(({ row }) => row),
    targets,
    fleetOrders: fleetOrderRows(orders, targets, nowMs),
    releases: releaseRows(releases, targets),
    broken: [...parts.flatMap((part) => part.broken), ...brokenOrders(FLEET, orders)],
  };
}

function hostRow(host: HostView, fleetHold: Hold | null, targets: number): HostRow {
  const isHoldAsked = host.hold !== null || fleetHold !== null;
  return {
    host: host.host,
    liveness: host.liveness,
    status: host.status,
    hold: host.hold,
    isHoldPending: isHoldAsked && host.liveness !== 'lost' && host.status !== null && host.status.hold === null,
    targets,
  };
}

/** What the host reports, then what it was asked for and has not reported. */
function targetRows(view: HostView, own: DesiredState, fleet: DesiredState, nowMs: number): TargetRow[] {
  const { host, liveness } = view;
  const rows = view.reports.map((report): TargetRow => {
    const ownOrder = own.records.get(report.target)?.order ?? null;
    const fleetOrder = fleet.records.get(report.target)?.order ?? null;
    const order = newest(ownOrder, fleetOrder);
    const isOvertaken = order !== null && order.version > report.version;
    return {
      host,
      liveness,
      target: report.target,
      account: report.account ?? order?.account ?? null,
      report,
      order,
      scope: scopeOf(report.version, ownOrder, fleetOrder),
      releasing: isOvertaken && order.action === 'untarpit' ? order : null,
    };
  });
  const reported = new Set(view.reports.map((report) => report.target));
  for (const { order } of own.records.values()) {
    if (order.action !== 'tarpit' || order.expiresAt <= nowMs || reported.has(order.target)) continue;
    const fleetOrder = fleet.records.get(order.target)?.order;
    if (fleetOrder && fleetOrder.version > order.version) continue;
    const account = order.account ?? null;
    rows.push({ host, liveness, target: order.target, account, report: null, order, scope: 'host', releasing: null });
  }
  return rows.sort((a, b) => compare(a.account ?? a.target, b.account ?? b.target) || compare(a.target, b.target));
}

function newest(own: Order | null, fleet: Order | null): Order | null {
  if (own === null || fleet === null) return own ?? fleet;
  return fleet.version > own.version ? fleet : own;
}

/** The report's version says which order the worker acts on; a renewed lease has a higher one than the report yet. */
function scopeOf(version: number, own: Order | null, fleet: Order | null): Scope {
  if (own?.version === version) return 'host';
  if (fleet?.version === version) return 'fleet';
  const tarpits = [own, fleet].filter((order) => order?.action === 'tarpit');
  if (tarpits.length !== 1) return 'unknown';
  return tarpits[0] === own ? 'host' : 'fleet';
}

function fleetOrderRows(state: DesiredState, targets: readonly TargetRow[], nowMs: number): FleetOrderRow[] {
  const rows = new Map<string, FleetOrderRow>();
  for (const { order } of state.records.values()) {
    if (order.action !== 'tarpit' || order.expiresAt <= nowMs) continue;
    rows.set(order.target, { order, reportedBy: 0, activeOn: 0 });
  }
  if (rows.size === 0) return [];
  for (const { target, report } of targets) {
    const row = report && rows.get(target);
    if (!row) continue;
    row.reportedBy++;
    if (report.processes > 0) row.activeOn++;
  }
  return [...rows.values()];
}

function recentReleases({ records }: DesiredState, nowMs: number): UntarpitOrder[] {
  const recent: UntarpitOrder[] = [];
  for (const { order } of records.values()) {
    if (order.action === 'untarpit' && order.issuedAt > nowMs - RELEASES_SHOWN_FOR_MS) recent.push(order);
  }
  return recent;
}

function releaseRows(recent: readonly UntarpitOrder[], targets: readonly TargetRow[]): ReleaseRow[] {
  const waiting = new Map<UntarpitOrder, ReleaseRow['pendingOn']>();
  for (const { host, liveness, releasing } of targets) {
    if (releasing === null) continue;
    const pending = waiting.get(releasing);
    if (pending) pending.push({ host, liveness });
    else waiting.set(releasing, [{ host, liveness }]);
  }
  return recent
    .toSorted((a, b) => b.issuedAt - a.issuedAt || compare(a.target, b.target))
    .slice(0, MAX_RELEASES)
    .map((order) => ({ order, pendingOn: waiting.get(order) ?? [] }));
}

function brokenRows({ host, broken, brokenReports }: HostView, own: DesiredState): BrokenRow[] {
  const name = hostName.safeParse(host);
  return [
    ...(name.success ? [] : [{ where: host, record: 'name in hobbler:hosts', why: name.error.issues[0]!.message }]),
    ...(broken === null ? [] : [{ where: host, record: 'status', why: broken }]),
    ...brokenReports.map(({ target, why }) => ({ where: host, record: `report of ${target}`, why })),
    ...brokenOrders(host, own),
  ];
}

function brokenOrders(where: string, { broken }: DesiredState): BrokenRow[] {
  return broken.map(({ target, why }) => ({ where, record: `order for ${target}`, why }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

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

export function buildFleet({ view, fleetOrders, hostOrders }: FleetReading): Fleet {
  const { nowMs, hold } = view;
  const ordersOf = (host: string): DesiredState => hostOrders.get(host) ?? NO_ORDERS;
  const targets = view.hosts.flatMap((host) => targetRows(host, ordersOf(host.host), fleetOrders, nowMs));
  const countByHost = Map.groupBy(targets, (row) => row.host);
  return {
    nowMs,
    hold,
    hosts: view.hosts.map((host) => hostRow(host, hold, countByHost.get(host.host)?.length ?? 0)),
    targets,
    fleetOrders: [...fleetOrders.records.values()]
      .map((record) => record.order)
      .filter((order) => order.action === 'tarpit' && order.expiresAt > nowMs)
      .map((order) => fleetOrderRow(order as TarpitOrder, targets)),
    releases: recentReleases([fleetOrders, ...hostOrders.values()], targets, nowMs),
    broken: brokenRows(view.hosts, fleetOrders, hostOrders),
  };
}

const NO_ORDERS: DesiredState = { records: new Map(), broken: [] };

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

function fleetOrderRow(order: TarpitOrder, targets: readonly TargetRow[]): FleetOrderRow {
  const reports = targets.flatMap((row) => (row.target === order.target && row.report ? [row.report] : []));
  return { order, reportedBy: reports.length, activeOn: reports.filter((report) => report.processes > 0).length };
}

function recentReleases(states: readonly DesiredState[], targets: readonly TargetRow[], nowMs: number): ReleaseRow[] {
  const recent = states
    .flatMap((state) => [...state.records.values()].map((record) => record.order))
    .filter((order): order is UntarpitOrder => order.action === 'untarpit')
    .filter((order) => order.issuedAt > nowMs - RELEASES_SHOWN_FOR_MS);
  const waiting = Map.groupBy(
    targets.filter((row) => row.releasing !== null),
    (row) => releaseKey(row.releasing!),
  );
  return recent
    .sort((a, b) => b.issuedAt - a.issuedAt || compare(a.target, b.target))
    .slice(0, MAX_RELEASES)
    .map((order) => ({
      order,
      pendingOn: (waiting.get(releaseKey(order)) ?? []).map(({ host, liveness }) => ({ host, liveness })),
    }));
}

function releaseKey({ host, target, version }: Order): string {
  return JSON.stringify([host, target, version]);
}

function brokenRows(
  hosts: readonly HostView[],
  fleetOrders: DesiredState,
  hostOrders: ReadonlyMap<string, DesiredState>,
): BrokenRow[] {
  const ordersIn = (where: string, state: DesiredState) =>
    state.broken.map(({ target, why }) => ({ where, record: `order for ${target}`, why }));
  const ofHosts = hosts.flatMap(({ host, broken, brokenReports }): BrokenRow[] => {
    const name = hostName.safeParse(host);
    return [
      ...(name.success ? [] : [{ where: host, record: 'name in hobbler:hosts', why: name.error.issues[0]!.message }]),
      ...(broken === null ? [] : [{ where: host, record: 'status', why: broken }]),
      ...brokenReports.map(({ target, why }) => ({ where: host, record: `report of ${target}`, why })),
      ...ordersIn(host, hostOrders.get(host) ?? NO_ORDERS),
    ];
  });
  return [...ofHosts, ...ordersIn(FLEET, fleetOrders)];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Which targets and hosts a page shows: searched, filtered, sorted and cut into pages on the server, so that a fleet of
 * thousands does not make a page of megabytes. Pure. What it needs again and again of a row is kept beside the row, which
 * stays the same object for as long as nothing of it changed.
 */
import { isTrouble as isReportTrouble, targetStates } from '../../shared/report.ts';
import type { Fleet, HostRow, TargetRow } from './model.ts';

/** With these a full page is 140 KB, and the first load with its styles and script stays below 200. */
export const TARGETS_PER_PAGE = 40;
export const HOSTS_PER_PAGE = 20;

/** `trouble`: not applied, without effect, or on a host that is lost; `pending`: ordered and not reported yet. */
export const targetFilters = ['all', 'trouble', 'pending', ...targetStates] as const;
export type TargetFilter = (typeof targetFilters)[number];
export const targetSorts = ['account', 'host', 'state', 'got', 'cost', 'since', 'left'] as const;
export type TargetSort = (typeof targetSorts)[number];
export const hostFilters = ['all', 'alive', 'late', 'lost', 'held'] as const;
export type HostFilter = (typeof hostFilters)[number];
export const hostSorts = ['state', 'host', 'version', 'targets', 'load', 'cost'] as const;
export type HostSort = (typeof hostSorts)[number];

export interface Sorting<Key extends string> {
  by: Key;
  isReversed: boolean;
}

/** What the address of the page asks for. Pages count from 1; one that is not there means the last. */
export interface Wanted {
  query: string;
  filter: TargetFilter;
  sort: Sorting<TargetSort>;
  page: number;
  hostQuery: string;
  hostFilter: HostFilter;
  hostSort: Sorting<HostSort>;
  hostsPage: number;
}

export const WANT_ALL: Wanted = {
  query: '',
  filter: 'all',
  sort: { by: 'account', isReversed: false },
  page: 1,
  hostQuery: '',
  hostFilter: 'all',
  hostSort: { by: 'state', isReversed: false },
  hostsPage: 1,
};

export interface Cut<Row> {
  rows: Row[];
  page: number;
  pages: number;
  /** Rows on all pages. */
  count: number;
  /** The first of them, counted from 1; 0 when there is none. */
  first: number;
}

export interface Selection {
  targets: Cut<TargetRow>;
  hosts: Cut<HostRow>;
}

export function select({ targets, hosts }: Pick<Fleet, 'targets' | 'hosts'>, wanted: Wanted): Selection {
  return { targets: cutTargets(targets, wanted), hosts: cutHosts(hosts, wanted) };
}

export function cutTargets(
  targets: readonly TargetRow[],
  { query, filter, sort, page }: Pick<Wanted, 'query' | 'filter' | 'sort' | 'page'>,
): Cut<TargetRow> {
  const sorted = sortedTargets(targets, sort);
  const words = wordsOf(query);
  const isWanted = (row: TargetRow) => passes(row, filter) && words.every((word) => textOf(row).includes(word));
  return cut(filter === 'all' && words.length === 0 ? sorted : sorted.filter(isWanted), page, TARGETS_PER_PAGE);
}

function cutHosts(hosts: readonly HostRow[], { hostQuery, hostFilter, hostSort, hostsPage }: Wanted): Cut<HostRow> {
  const words = wordsOf(hostQuery);
  const found = hosts.filter(
    (row) => passesHost(row, hostFilter) && words.every((word) => hostText(row).includes(word)),
  );
  const key = HOST_KEYS[hostSort.by];
  return cut(sortedBy(found, key, hostSort.isReversed), hostsPage, HOSTS_PER_PAGE);
}

/** How many targets each filter would leave, of those that the search finds. */
export function countFilters(targets: readonly TargetRow[], query: string): Record<TargetFilter, number> {
  const counts = Object.fromEntries(targetFilters.map((filter) => [filter, 0])) as Record<TargetFilter, number>;
  const words = wordsOf(query);
  for (const row of targets) {
    if (!words.every((word) => textOf(row).includes(word))) continue;
    counts.all++;
    if (isTrouble(row)) counts.trouble++;
    if (isPending(row)) counts.pending++;
    if (row.report) counts[row.report.state]++;
  }
  return counts;
}

function wordsOf(query: string): string[] {
  return query.toLowerCase().split(/\s+/).filter(Boolean);
}

function passes(row: TargetRow, filter: TargetFilter): boolean {
  if (filter === 'all') return true;
  if (filter === 'trouble') return isTrouble(row);
  if (filter === 'pending') return isPending(row);
  return row.report?.state === filter;
}

/** An order that is not carried out, or to no effect, or of which nobody can say what became of it. */
export function isTrouble({ report, liveness }: TargetRow): boolean {
  return liveness === 'lost' || (report !== null && isReportTrouble(report));
}

/** Ordered, and the worker has not said that it is done: put in, or let go. */
export function isPending({ report, releasing }: TargetRow): boolean {
  return releasing !== null || report === null;
}

function passesHost({ liveness, status, hold }: HostRow, filter: HostFilter): boolean {
  if (filter === 'all') return true;
  if (filter === 'held') return hold !== null || (status?.hold ?? null) !== null;
  return liveness === filter;
}

type Key<Row> = (row: Row) => string | number | null;

const TARGET_KEYS: Record<TargetSort, Key<TargetRow>> = {
  account: ({ account, target }) => account ?? target,
  host: ({ host }) => host,
  state: (row) => (isTrouble(row) ? 0 : isPending(row) ? 1 : 2 + targetStates.indexOf(row.report!.state)),
  got: ({ report }) => negative(report?.gotRatio),
  cost: ({ report }) => negative(report?.costRatio),
  since: ({ report, order }) => report?.sinceMs ?? order?.issuedAt ?? null,
  left: (row) => untilMs(row),
};

/** Hosts in trouble come first, so that no page hides them. */
const RANK = { lost: 0, late: 1, alive: 2 } as const;

const HOST_KEYS: Record<HostSort, Key<HostRow>> = {
  state: ({ liveness }) => RANK[liveness],
  host: ({ host }) => host,
  version: ({ status }) => status?.hobblerVersion ?? null,
  targets: ({ targets }) => -targets,
  load: ({ status }) => (status && status.cores > 0 ? -status.load1 / status.cores : null),
  cost: ({ status }) => negative(status?.ownCpuRatio),
};

/** The most first. */
function negative(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : -value;
}

/** When it ends, by the later of report and order: a renewed lease is known here before the worker reports it. */
export function untilMs({ report, order }: TargetRow): number {
  return Math.max(report?.expiresAtMs ?? 0, order?.action === 'tarpit' ? order.expiresAt : 0);
}

const sortedLists = new WeakMap<readonly TargetRow[], Map<string, TargetRow[]>>();

/** Sorted once for all who look at one reading. */
function sortedTargets(targets: readonly TargetRow[], { by, isReversed }: Sorting<TargetSort>): TargetRow[] {
  const lists = sortedLists.get(targets) ?? new Map<string, TargetRow[]>();
  sortedLists.set(targets, lists);
  const name = `${isReversed ? '-' : ''}${by}`;
  let list = lists.get(name);
  if (!list) {
    list = sortedBy(targets, TARGET_KEYS[by], isReversed);
    lists.set(name, list);
  }
  return list;
}

/** What is not known comes last either way; what is alike keeps its order, so that rows do not trade places. */
function sortedBy<Row>(rows: readonly Row[], keyOf: Key<Row>, isReversed: boolean): Row[] {
  const direction = isReversed ? -1 : 1;
  const keyed = rows.map((row, index) => ({ row, key: keyOf(row), index }));
  keyed.sort((a, b) => {
    if (a.key === b.key) return a.index - b.index;
    if (a.key === null) return 1;
    if (b.key === null) return -1;
    return a.key < b.key ? -direction : direction;
  });
  return keyed.map(({ row }) => row);
}

function cut<Row>(all: readonly Row[], wantedPage: number, size: number): Cut<Row> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = Math.min(Math.max(1, wantedPage), pages);
  const start = (page - 1) * size;
  const rows = all.slice(start, start + size);
  return { rows, page, pages, count: all.length, first: rows.length === 0 ? 0 : start + 1 };
}

const texts = new WeakMap<TargetRow, string>();

function textOf(row: TargetRow): string {
  let text = texts.get(row);
  if (text === undefined) {
    const { host, target, account, report, order } = row;
    const source = report ?? order;
    const parts = [account, target, host, report?.state, report?.mechanism, source?.by, source?.reason, report?.why];
    text = parts.join(' ').toLowerCase();
    texts.set(row, text);
  }
  return text;
}

function hostText({ host, liveness, status }: HostRow): string {
  return `${host} ${liveness} ${status?.hobblerVersion ?? ''}`.toLowerCase();
}

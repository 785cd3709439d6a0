/**
 * Which targets and hosts a page shows: a search over the targets, and both cut into pages on the server, so that a
 * fleet of thousands does not make a page of megabytes. Pure. Further filters (by state, by host) belong here.
 */
import type { Liveness } from '../../shared/report.ts';
import type { Fleet, HostRow, TargetRow } from './model.ts';

export const ROWS_PER_PAGE = 200;

/** What the address of the page asks for. Pages count from 1; one that is not there means the last. */
export interface Wanted {
  query: string;
  page: number;
  hostsPage: number;
}

export interface Cut<Row> {
  rows: Row[];
  page: number;
  pages: number;
  /** Rows on all pages. */
  count: number;
}

export interface Selection {
  query: string;
  targets: Cut<TargetRow>;
  hosts: Cut<HostRow>;
}

/** Hosts in trouble come first, so that no page hides them. */
const RANK: Record<Liveness, number> = { lost: 0, late: 1, alive: 2 };

export function select({ targets, hosts }: Pick<Fleet, 'targets' | 'hosts'>, wanted: Wanted): Selection {
  const words = wanted.query.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (row: TargetRow) => {
    const text = textOf(row);
    return words.every((word) => text.includes(word));
  };
  const found = words.length === 0 ? targets : targets.filter(matches);
  const ranked = hosts.toSorted((a, b) => RANK[a.liveness] - RANK[b.liveness]);
  return { query: wanted.query, targets: cut(found, wanted.page), hosts: cut(ranked, wanted.hostsPage) };
}

function cut<Row>(all: readonly Row[], wantedPage: number): Cut<Row> {
  const pages = Math.max(1, Math.ceil(all.length / ROWS_PER_PAGE));
  const page = Math.min(Math.max(1, wantedPage), pages);
  const start = (page - 1) * ROWS_PER_PAGE;
  return { rows: all.slice(start, start + ROWS_PER_PAGE), page, pages, count: all.length };
}

function textOf({ host, target, account, report, order }: TargetRow): string {
  const reason = report?.reason ?? order?.reason ?? '';
  return `${account ?? ''} ${target} ${host} ${report?.state ?? ''} ${reason}`.toLowerCase();
}

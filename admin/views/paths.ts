/** Where pages are: every link that carries a name or a choice is written here, and read in routes/input.ts. */
import { type Sorting, WANT_ALL, type Wanted } from '../fleet/selection.ts';
import { link } from './html.ts';

/** A host's page; with a target, its processes too. */
export function hostPath(host: string, target?: string): string {
  return link(`/hosts/${encodeURIComponent(host)}`, { target });
}

export function accountPath(account: string): string {
  return link(`/accounts/${encodeURIComponent(account)}`);
}

export function auditPath(host: string): string {
  return link('/audit', { host });
}

/** The fleet page with what is chosen there, but for `changes`. What is as it is by default is not said. */
export function fleetPath(wanted: Wanted, changes: Partial<Wanted> = {}, path: `/${string}` = '/'): string {
  return link(path, fleetQueryOf({ ...wanted, ...changes }));
}

export function fleetQueryOf(wanted: Wanted): Record<string, string | undefined> {
  const said = <Value>(value: Value, byDefault: Value, text = String(value)) =>
    value === byDefault ? undefined : text;
  return {
    q: said(wanted.query, ''),
    state: said(wanted.filter, 'all'),
    sort: said(sortText(wanted.sort), sortText(WANT_ALL.sort)),
    page: said(wanted.page, 1),
    hq: said(wanted.hostQuery, ''),
    hstate: said(wanted.hostFilter, 'all'),
    hsort: said(sortText(wanted.hostSort), sortText(WANT_ALL.hostSort)),
    hosts: said(wanted.hostsPage, 1),
  };
}

export function sortText({ by, isReversed }: Sorting<string>): string {
  return `${isReversed ? '-' : ''}${by}`;
}

/** What a header leads to: sorted by it, and sorted by it already, the other way round. */
export function nextSort<Key extends string>(current: Sorting<Key>, by: Key): Sorting<Key> {
  return { by, isReversed: current.by === by && !current.isReversed };
}

export function sortDirection(current: Sorting<string>, by: string): 'ascending' | 'descending' | null {
  if (current.by !== by) return null;
  return current.isReversed ? 'descending' : 'ascending';
}

/** Views of a fleet for tests of what shows one, as `readFleet` would give them; each test changes what it is about. */
import type { FleetView, HostView } from '../../shared/redis/fleet.ts';
import type { Report } from '../../shared/report.ts';
import { reportExample, statusExample } from './reports.ts';

/** Redis's clock in these views, milliseconds. */
export const VIEW_AT_MS = 1_764_000_000_000;

/** A live host with these reports. */
export function hostExample(host: string, reports: Report[] = [], changes: Partial<HostView> = {}): HostView {
  return {
    host,
    liveness: 'alive',
    status: statusExample(host, VIEW_AT_MS - 2_000),
    broken: null,
    hold: null,
    reports,
    brokenReports: [],
    ...changes,
  };
}

/** A target that has 60 s left. */
export function targetExample(target: string, changes: Partial<Report> = {}): Report {
  return reportExample(target, VIEW_AT_MS, changes);
}

export function viewExample(hosts: HostView[], changes: Partial<FleetView> = {}): FleetView {
  return { nowMs: VIEW_AT_MS, hold: null, hosts, ...changes };
}

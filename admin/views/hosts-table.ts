/** The hosts: is every one alive, what does it cost there, can it do its work. Pure: rows in, a table out. */
import type { MechanismProbe } from '../../shared/report.ts';
import type { HostRow } from '../fleet/model.ts';
import type { HostSort, Wanted } from '../fleet/selection.ts';
import { queueLink } from '../queues/names.ts';
import { hostActs } from './act-links.ts';
import { bytes, hostText, known, milliseconds, percent, relativeTime, unknown } from './format.ts';
import { type Html, html } from './html.ts';
import { auditPath, fleetPath, hostPath, nextSort, sortDirection } from './paths.ts';
import type { Column, Table } from './table.ts';

export interface HostsView {
  rows: readonly HostRow[];
  nowMs: number;
  mayAct: boolean;
  wanted: Wanted;
  empty: Html;
}

const LIVENESS_TONE = { alive: 'good', late: 'warn', lost: 'bad' } as const;

export function hostsTable({ rows, nowMs, mayAct, wanted, empty }: HostsView): Table<HostRow> {
  const sort = (by: HostSort) => ({
    sort: {
      href: fleetPath(wanted, { hostSort: nextSort(wanted.hostSort, by), hostsPage: 1 }),
      direction: sortDirection(wanted.hostSort, by),
    },
  });
  const columns: Column<HostRow>[] = [
    { label: 'Host', kind: 'head', cell: nameCell, ...sort('host') },
    { label: 'State', cell: (row) => hostState(row, nowMs), ...sort('state') },
    { label: 'Targets', kind: 'number', cell: targetsCell, ...sort('targets') },
    { label: 'Load', kind: 'number', cell: loadCell, ...sort('load') },
    { label: 'Own cost', kind: 'number', cell: costCell, ...sort('cost') },
    { label: 'Guard', cell: guardCell },
    { label: 'Mechanisms', cell: ({ status }) => (status ? mechanismChips(status.mechanisms) : unknown()) },
  ];
  if (mayAct) columns.push({ label: 'Act on this host', kind: 'act', cell: hostActs });
  return { caption: 'Hosts of the fleet', columns, rows, key: (row) => row.host, empty };
}

function nameCell({ host, status }: HostRow): Html {
  return html`<a class="name" href="${hostPath(host)}">${hostText(host)}</a><small>${status ? html`hobbler ${status.hobblerVersion}` : unknown('version unknown')} · <a href="${queueLink(host)}">queue</a> · <a href="${auditPath(host)}">audit</a></small>`;
}

/** Liveness, hold and last beat of one host. */
export function hostState(row: HostRow, nowMs: number): Html {
  const { liveness, status } = row;
  const beat = status ? html`last beat ${relativeTime(status.beatAtMs, nowMs)}` : 'no beat known';
  return html`<span class="badge ${LIVENESS_TONE[liveness]}">${liveness}</span> ${holdBadge(row)}<small>${beat}</small>${holdWords(row, nowMs)}`;
}

function holdBadge({ status, hold, isHoldPending }: HostRow): Html | null {
  if (isHoldPending) return html`<span class="badge pending">hold pending</span>`;
  if (status?.hold)
    return html`<span class="badge hold">${status.hold.scope === 'local' ? 'held locally' : 'held'}</span>`;
  return hold && html`<span class="badge hold">hold ordered</span>`;
}

function holdWords({ status, hold }: HostRow, nowMs: number): Html | null {
  if (hold)
    return html`<small>hold by ${hold.by} ${relativeTime(hold.sinceMs, nowMs)}: ${hold.reason || 'no reason given'}</small>`;
  return status?.hold
    ? html`<small>${status.hold.scope} hold: ${status.hold.reason || 'no reason given'}</small>`
    : null;
}

function targetsCell({ targets, status }: HostRow): Html {
  return html`${targets}<small>${known(status?.processes, (count) => `${count} ${count === 1 ? 'process' : 'processes'}`)}</small>`;
}

function loadCell({ status }: HostRow): Html {
  const cores = known(status?.cores, (count) => `${count} ${count === 1 ? 'core' : 'cores'}`);
  const pressure = known(status?.pressure.cpu, percent, 'pressure unknown');
  return html`${known(status?.load1, (load) => load.toFixed(2))}<small>${cores} · <span title="part of the last 10 s in which somebody waited for a core">${pressure} waiting</span></small>`;
}

function costCell({ status }: HostRow): Html {
  if (status === null) return unknown();
  const { ownCpuRatio, rssBytes, stopsPerSecond, latenessP99Ms } = status;
  return html`${known(ownCpuRatio, percent)} · ${bytes(rssBytes)}<small title="stop signals per second; how late phases start, 99th percentile">${Math.round(stopsPerSecond)} stops/s · ${known(latenessP99Ms, milliseconds, 'lateness unknown')} late</small>`;
}

function guardCell({ status }: HostRow): Html {
  if (status === null) return unknown();
  return html`<span class="badge ${status.guard === 'alive' ? 'good' : 'bad'}">${status.guard}</span>`;
}

export function mechanismChips(probes: Record<string, MechanismProbe>): Html {
  const names = Object.entries(probes);
  if (names.length === 0) return unknown('none reported');
  return html`<ul class="chips">${names.map(
    ([name, { supported, why }]) =>
      html`<li class="chip ${supported ? 'yes' : 'no'}" title="${why}">${name}<span class="sr"> ${supported ? 'works' : `does not work: ${why}`}</span></li>`,
  )}</ul>`;
}

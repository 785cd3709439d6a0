/** The hosts: is every one alive, what does it cost there, can it do its work. Pure: rows in, HTML out. */
import type { MechanismProbe } from '../../shared/report.ts';
import type { HostRow } from '../fleet/model.ts';
import { queueLink } from '../queues/names.ts';
import { bytes, hostText, known, milliseconds, percent, relativeTime, unknown } from './format.ts';
import { type Html, html, link } from './html.ts';
import { type Column, table } from './table.ts';

export interface HostsView {
  rows: readonly HostRow[];
  nowMs: number;
  mayAct: boolean;
}

const LIVENESS_TONE = { alive: 'good', late: 'warn', lost: 'bad' } as const;

export function hostsTable({ rows, nowMs, mayAct }: HostsView): Html {
  const columns: Column<HostRow>[] = [
    { label: 'Host', kind: 'head', cell: nameCell },
    { label: 'State', cell: (row) => stateCell(row, nowMs) },
    { label: 'Targets', kind: 'number', cell: targetsCell },
    { label: 'Load', kind: 'number', cell: loadCell },
    { label: 'Own cost', kind: 'number', cell: costCell },
    { label: 'Guard', cell: guardCell },
    { label: 'Mechanisms', cell: ({ status }) => (status ? mechanisms(status.mechanisms) : unknown()) },
  ];
  if (mayAct) columns.push({ label: 'Act on this host', kind: 'act', cell: actCell });
  return table({
    caption: 'Hosts of the fleet',
    columns,
    rows,
    key: (row) => row.host,
    empty: html`<p><strong>No host has ever reported.</strong></p>
<p>Start a worker on the first one: <code>hobbler worker</code>, with the same <code>REDIS_URL</code> as this admin. <code>hobbler doctor</code> says what is missing there. It appears here by itself.</p>`,
  });
}

function nameCell({ host, status }: HostRow): Html {
  return html`<strong>${hostText(host)}</strong><small>${status ? html`hobbler ${status.hobblerVersion}` : unknown('version unknown')} · <a href="${queueLink(host)}">queue</a> · <a href="${link('/audit', { host })}">audit</a></small>`;
}

function stateCell(row: HostRow, nowMs: number): Html {
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
  return html`${known(status?.load1, (load) => load.toFixed(2))}<small>${known(status?.cores, (cores) => `${cores} ${cores === 1 ? 'core' : 'cores'}`)}</small>`;
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

function mechanisms(probes: Record<string, MechanismProbe>): Html {
  const names = Object.entries(probes);
  if (names.length === 0) return unknown('none reported');
  return html`<ul class="chips">${names.map(
    ([name, { supported, why }]) =>
      html`<li class="chip ${supported ? 'yes' : 'no'}" title="${why}">${name}<span class="sr"> ${supported ? 'works' : `does not work: ${why}`}</span></li>`,
  )}</ul>`;
}

function actCell({ host, hold, targets }: HostRow): Html {
  const act = (path: '/release-host' | '/hold' | '/unhold', words: string) =>
    html`<a class="button" href="${link(path, { host })}" aria-label="${words}: ${host}">${words}</a>`;
  return html`<div class="acts">${targets > 0 && act('/release-host', 'Release all')}${hold ? act('/unhold', 'Lift hold') : act('/hold', 'Hold')}</div>`;
}

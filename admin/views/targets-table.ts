/** The tarpit: who is slow, why, since when, does it work, and the way out. Pure: rows in, a table out. */
import type { Report, TargetState } from '../../shared/report.ts';
import type { TargetRow } from '../fleet/model.ts';
import { type TargetSort, untilMs, type Wanted } from '../fleet/selection.ts';
import { targetActs } from './act-links.ts';
import { hostText, known, percent, relativeTime, timeLeft, timeSince, unknown } from './format.ts';
import { type Html, html } from './html.ts';
import { accountPath, fleetPath, hostPath, nextSort, sortDirection } from './paths.ts';
import type { Column, Table } from './table.ts';

export interface TargetsView {
  rows: readonly TargetRow[];
  nowMs: number;
  /** Viewers get no buttons; the server would refuse them anyway. */
  mayAct: boolean;
  empty: Html;
  /** On the fleet page: how it is sorted, by links in the headers. */
  wanted?: Wanted;
  /** On a host's page: no column for the host. */
  isOfOneHost?: boolean;
}

/** What a state means, in the words of who looks at it. */
const STATE_WORDS: Record<TargetState, { tone: string; words: string | null }> = {
  hobbling: { tone: 'active', words: null },
  spared: { tone: 'calm', words: 'uses less than its share' },
  armed: { tone: 'calm', words: 'no process now' },
  held: { tone: 'hold', words: 'let go by a hold' },
  gone: { tone: 'calm', words: null },
  denied: { tone: 'bad', words: null },
  unsupported: { tone: 'bad', words: null },
  refused: { tone: 'bad', words: null },
};

export function targetsTable({
  rows,
  nowMs,
  mayAct,
  empty,
  wanted,
  isOfOneHost = false,
}: TargetsView): Table<TargetRow> {
  const sort = (by: TargetSort) =>
    wanted === undefined
      ? {}
      : {
          sort: {
            href: fleetPath(wanted, { sort: nextSort(wanted.sort, by), page: 1 }),
            direction: sortDirection(wanted.sort, by),
          },
        };
  const columns: Column<TargetRow>[] = [
    { label: 'Account', kind: 'head', cell: accountCell, ...sort('account') },
    ...(isOfOneHost ? [] : [{ label: 'Host', cell: hostCell, ...sort('host') }]),
    { label: 'State', cell: (row) => stateCell(row, nowMs), ...sort('state') },
    { label: 'CPU', cell: cpuCell, ...sort('got') },
    { label: 'Reason', cell: reasonCell },
    { label: 'Since', kind: 'number', cell: (row) => sinceCell(row, nowMs), ...sort('since') },
    { label: 'Left', kind: 'number', cell: (row) => leftCell(row, nowMs), ...sort('left') },
  ];
  if (mayAct) columns.push({ label: 'Release', kind: 'act', cell: targetActs });
  return {
    caption: 'Targets in the tarpit',
    columns,
    rows,
    key: (row) => `${row.host} ${row.target}`,
    empty,
    rowClass: (row) => (row.releasing ? 'pending' : ''),
  };
}

function accountCell({ host, account, target, report }: TargetRow): Html {
  const count = report && html` · ${report.processes} ${report.processes === 1 ? 'process' : 'processes'}`;
  const elsewhere =
    report !== null && report.ownedElsewhere > 0 && html` (${report.ownedElsewhere} held by another order)`;
  const name =
    account === null
      ? html`<strong>${target}</strong>`
      : html`<a class="name" href="${accountPath(account)}">${account}</a>`;
  return html`${name}<small><a class="plain" href="${hostPath(host, target)}"><code>${target}</code></a>${count}${elsewhere}</small>`;
}

function hostCell({ host, liveness }: TargetRow): Html {
  return html`<a class="plain" href="${hostPath(host)}">${hostText(host)}</a>${liveness !== 'alive' && html`<small class="${liveness}">${liveness}</small>`}`;
}

function stateCell(row: TargetRow, nowMs: number): Html {
  if (row.releasing) {
    const { by, issuedAt } = row.releasing;
    const lost = row.liveness === 'lost' ? '; its host is lost and will do so when it is back' : '';
    return html`<span class="badge pending">release pending</span><small>ordered ${relativeTime(issuedAt, nowMs)} by ${by}${lost}</small>`;
  }
  if (row.report === null) {
    return html`<span class="badge pending">not taken up yet</span><small>${row.liveness === 'lost' ? 'its host is lost' : 'the worker has not reported it'}</small>`;
  }
  const { state, why, mechanism, mechanismWhy, effective } = row.report;
  const { tone, words } = STATE_WORDS[state];
  const by = mechanism && html`by <span title="${mechanismWhy ?? ''}">${mechanism}</span>`;
  const details = [by, words, why].filter((part) => part);
  return html`<span class="badge ${tone}">${state}</span>${effective === false && html` <span class="badge bad">no effect</span>`}<small>${details.map((part, index) => [index > 0 && ' · ', part])}</small>`;
}

function cpuCell({ report, order }: TargetRow): Html {
  if (report === null) {
    if (order?.action !== 'tarpit') return unknown('not measured yet');
    const { runMs, stopMs } = order.hobble;
    return html`${unknown('not measured yet')} · asked ${percent(runMs / (runMs + stopMs))}<small>${runMs} of ${runMs + stopMs} ms</small>`;
  }
  const { beforeRatio, askedRatio, gotRatio, runMs, stopMs } = report;
  return html`<div class="cpu">${cpuBar(report)}<span><b>${known(gotRatio, percent, 'not measured')}</b> · asked ${percent(askedRatio)}</span></div><small>${runMs} of ${runMs + stopMs} ms · before ${known(beforeRatio, percent)}</small>`;
}

const BAR_WIDTH = 72;

/** Measured share over the share before, and a tick where it was asked to be. All of it also stands there in words. */
function cpuBar({ beforeRatio, askedRatio, gotRatio }: Report): Html {
  // Of one whole core where the share before is unknown.
  const most = Math.max(beforeRatio ?? 1, askedRatio, gotRatio ?? 0, 0.01);
  const width = (ratio: number | null) => String(Math.round(((ratio ?? 0) / most) * BAR_WIDTH));
  return html`<svg class="bar" width="${BAR_WIDTH}" height="12" viewBox="0 0 ${BAR_WIDTH} 12" aria-hidden="true"><rect class="track" width="${BAR_WIDTH}" height="6" y="3" rx="3"/><rect class="before" width="${width(beforeRatio)}" height="6" y="3" rx="3"/><rect class="got" width="${width(gotRatio)}" height="6" y="3" rx="3"/><rect class="asked" x="${width(Math.min(askedRatio, most * 0.98))}" width="1.5" height="12"/></svg>`;
}

function reasonCell({ report, order }: TargetRow): Html {
  const source = report ?? order;
  return html`${source?.reason || unknown('no reason given')}<small>by ${source?.by ?? 'unknown'}</small>`;
}

function sinceCell({ report, order }: TargetRow, nowMs: number): Html {
  const sinceMs = report?.sinceMs ?? order?.issuedAt;
  return sinceMs === undefined ? unknown() : timeSince(sinceMs, nowMs);
}

function leftCell(row: TargetRow, nowMs: number): Html {
  return html`${timeLeft(untilMs(row), nowMs)}${row.scope === 'fleet' && html`<small>fleet order</small>`}`;
}

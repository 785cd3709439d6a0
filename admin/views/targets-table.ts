/** The tarpit: who is slow, why, since when, does it work, and the way out. Pure: rows in, HTML out. */
import { FLEET } from '../../shared/order.ts';
import type { Report, TargetState } from '../../shared/report.ts';
import type { TargetRow } from '../fleet/model.ts';
import { hostText, known, percent, relativeTime, timeLeft, timeSince, unknown } from './format.ts';
import { type Html, html, link } from './html.ts';
import { type Column, table } from './table.ts';

export interface TargetsView {
  rows: readonly TargetRow[];
  nowMs: number;
  /** Viewers get no buttons; the server would refuse them anyway. */
  mayAct: boolean;
  empty: Html;
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

export function targetsTable({ rows, nowMs, mayAct, empty }: TargetsView): Html {
  const columns: Column<TargetRow>[] = [
    { label: 'Account', kind: 'head', cell: accountCell },
    { label: 'Host', cell: (row) => hostText(row.host) },
    { label: 'State', cell: (row) => stateCell(row, nowMs) },
    { label: 'CPU', cell: ({ report }) => (report ? cpuCell(report) : unknown('not measured yet')) },
    { label: 'Reason', cell: reasonCell },
    { label: 'Since', kind: 'number', cell: (row) => sinceCell(row, nowMs) },
    { label: 'Left', kind: 'number', cell: (row) => leftCell(row, nowMs) },
  ];
  if (mayAct) columns.push({ label: 'Release', kind: 'act', cell: releaseCell });
  return table({
    caption: 'Targets in the tarpit',
    columns,
    rows,
    key: (row) => `${row.host} ${row.target}`,
    empty,
    rowClass: (row) => (row.releasing ? 'pending' : ''),
  });
}

function accountCell({ account, target, report }: TargetRow): Html {
  const count = report && html` · ${report.processes} ${report.processes === 1 ? 'process' : 'processes'}`;
  const elsewhere =
    report !== null && report.ownedElsewhere > 0 && html` (${report.ownedElsewhere} held by another order)`;
  return html`<strong>${account ?? target}</strong><small><code>${target}</code>${count}${elsewhere}</small>`;
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

function cpuCell(report: Report): Html {
  const { beforeRatio, askedRatio, gotRatio } = report;
  return html`<div class="cpu">${cpuBar(report)}<span><b>${known(gotRatio, percent, 'not measured')}</b> · asked ${percent(askedRatio)}</span></div><small>${report.runMs} of ${report.runMs + report.stopMs} ms · before ${known(beforeRatio, percent)}</small>`;
}

const BAR_WIDTH = 72;

/** Measured share over the share before, and a tick where it was asked to be. All of it also stands there in words. */
function cpuBar({ beforeRatio, askedRatio, gotRatio }: Report): Html {
  // Of one whole core where the share before is unknown.
  const most = Math.max(beforeRatio ?? 1, askedRatio, gotRatio ?? 0, 0.01);
  const width = (ratio: number | null) => (((ratio ?? 0) / most) * BAR_WIDTH).toFixed(1);
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

/** A renewed lease is known here before the worker reports it. */
function leftCell({ report, order, scope }: TargetRow, nowMs: number): Html {
  const ordered = order?.action === 'tarpit' ? order.expiresAt : 0;
  const untilMs = Math.max(report?.expiresAtMs ?? 0, ordered);
  return html`${timeLeft(untilMs, nowMs)}${scope === 'fleet' && html`<small>fleet order</small>`}`;
}

function releaseCell({ host, target, releasing }: TargetRow): Html {
  if (releasing) return html`<span class="unknown">pending</span>`;
  return html`<a class="button" href="${link('/release', { host, target })}" aria-label="Release ${target} on ${host === FLEET ? 'the fleet' : host}">Release</a>`;
}

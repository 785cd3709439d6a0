/** Who ordered what, when and why, and what came of it on a host. Pure: entries in, HTML out. */
import type { AuditEntry, AuditPage } from '../audit.ts';
import { hostText, relativeTime, unknown } from './format.ts';
import { type Html, html, link } from './html.ts';
import { table } from './table.ts';

export interface AuditView {
  /** `*` for the fleet's stream. */
  host: string;
  hosts: readonly string[];
  page: AuditPage;
  isFirst: boolean;
  nowMs: number;
}

/** Fields with a column of their own; all others are shown as they are. */
const COLUMNS = ['action', 'host', 'target', 'reason', 'by', 'result'];

export function auditPage({ host, hosts, page, isFirst, nowMs }: AuditView): Html {
  const isFleet = host === '*';
  return html`<div class="title"><h1>Audit</h1>${streamChoice(host, hosts)}</div>
<p>${isFleet ? 'What was ordered, for every host: by the policy, by operators, by other systems. What came of it on a host is in that host’s own audit.' : `What ${host} made of its orders.`} Newest first.</p>
${table<AuditEntry>({
  caption: isFleet ? 'Orders given' : `What ${host} did`,
  columns: [
    { label: 'When', kind: 'head', cell: ({ atMs }) => relativeTime(atMs, nowMs) },
    { label: 'Action', cell: ({ fields }) => html`<span class="badge">${fields.action ?? 'unknown'}</span>` },
    { label: 'Host', cell: ({ fields }) => hostWords(fields.host ?? host) },
    { label: 'Target', cell: ({ fields }) => (fields.target ? html`<code>${fields.target}</code>` : unknown('none')) },
    { label: 'Reason', cell: ({ fields }) => fields.reason || unknown('no reason given') },
    { label: 'By', cell: ({ fields }) => fields.by ?? unknown() },
    ...(isFleet ? [] : [{ label: 'Outcome', cell: ({ fields }: AuditEntry) => outcome(fields.result) }]),
    { label: 'More', cell: ({ fields }) => moreFields(fields) },
  ],
  rows: page.entries,
  key: ({ id }) => id,
  empty: html`<p><strong>${isFirst ? 'Nothing has been ordered yet.' : 'No older entries.'}</strong></p><p>${
    isFirst
      ? 'Every order, release and hold will stand here with its reason and who gave it.'
      : html`<a href="${link('/audit', { host: isFleet ? undefined : host })}">Back to the newest</a>`
  }</p>`,
})}
${page.olderThan && html`<nav class="pages" aria-label="Pages of the audit"><a class="button" href="${link('/audit', { host: isFleet ? undefined : host, before: page.olderThan })}">Older</a></nav>`}`;
}

function streamChoice(host: string, hosts: readonly string[]): Html {
  const option = (value: string, words: string) =>
    html`<option value="${value}"${value === host && html` selected`}>${words}</option>`;
  const all = host === '*' || hosts.includes(host) ? hosts : [host, ...hosts];
  return html`<form class="search" method="get" action="/audit"><label for="stream">Of</label><select id="stream" name="host">${option('*', 'orders to the fleet')}${all.map((name) => option(name, name))}</select><button class="quiet">Show</button></form>`;
}

function hostWords(host: string): Html {
  return host === '*' ? html`every host` : hostText(host);
}

function moreFields(fields: Record<string, string>): Html {
  const rest = Object.entries(fields).filter(([name]) => !COLUMNS.includes(name));
  return html`<small>${rest.map(([name, value]) => `${name} ${value.slice(0, 200)}`).join(' · ')}</small>`;
}

/** A worker writes its result as JSON; whatever else stands there is shown as it is. */
function outcome(text: string | undefined): Html {
  if (text === undefined) return unknown('not said');
  try {
    const { status, ...details } = JSON.parse(text) as Record<string, unknown>;
    const words = Object.entries(details).map(([name, value]) => `${name} ${String(value)}`);
    return html`<span class="badge">${String(status)}</span><small>${words.join(' · ').slice(0, 300)}</small>`;
  } catch {
    return html`${text.slice(0, 300)}`;
  }
}

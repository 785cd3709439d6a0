/** Who ordered what, when and why, and what came of it. Pure: entries in, HTML out. */
import { FLEET } from '../../shared/order.ts';
import { entryLink } from '../act/links.ts';
import { type Outcome, resultWords, tally } from '../act/outcome.ts';
import { type AuditEntry, type AuditFilter, type AuditPage, parseResult } from '../audit.ts';
import { OUTCOME_WORDS } from './entry-page.ts';
import { hostText, relativeTime, unknown } from './format.ts';
import { type Html, html, link } from './html.ts';
import { table } from './table.ts';

export interface AuditView {
  /** `*` for the fleet's stream. */
  host: string;
  hosts: readonly string[];
  filter: AuditFilter;
  page: AuditPage;
  /** By the entry's id; for the fleet's stream. */
  outcomes: ReadonlyMap<string, readonly Outcome[]>;
  isFirst: boolean;
  nowMs: number;
}

/** Fields with a column of their own, or of no use to the eye; all others are shown as they are. */
const COLUMNS = ['action', 'host', 'target', 'account', 'reason', 'by', 'result', 'act', 'parts', 'version'];
/** What the fleet's stream may hold, as the filter offers it. */
const ACTIONS = [
  ...[
    'tarpit',
    'untarpit',
    'hold',
    'unhold',
    'pin',
    'unpin',
    'release',
    'release-host',
    'release-fleet',
    'exempt',
    'extend',
  ],
  ...['remove-host', 'brake', 'brake-off', 'queue', 'failed'],
];

export function auditPage({ host, hosts, filter, page, outcomes, isFirst, nowMs }: AuditView): Html {
  const isFleet = host === FLEET;
  const isFiltered = filter.action !== '' || filter.by !== '' || filter.text !== '';
  const here = (before?: string) =>
    link('/audit', {
      host: isFleet ? undefined : host,
      action: filter.action || undefined,
      by: filter.by || undefined,
      q: filter.text || undefined,
      before,
    });
  return html`<h1>Audit</h1>
<p>${isFleet ? 'What was ordered, for every host: by the policy, by operators, by other systems, and what came of it.' : `What ${host} made of its orders.`} Newest first.</p>
${filterForm(host, hosts, filter)}
${table<AuditEntry>({
  caption: isFleet ? 'Orders given' : `What ${host} did`,
  columns: [
    { label: 'When', kind: 'head', cell: ({ atMs }) => relativeTime(atMs, nowMs) },
    { label: 'Action', cell: (entry) => actionCell(entry, isFleet) },
    { label: 'Host', cell: ({ fields }) => hostWords(fields.host ?? host) },
    { label: 'Target', cell: targetCell },
    {
      label: 'Reason',
      cell: ({ fields }) => html`${fields.reason || unknown('no reason given')}${moreFields(fields)}`,
    },
    { label: 'By', cell: ({ fields }) => (fields.by === undefined ? unknown() : shortText(fields.by)) },
    {
      label: 'Outcome',
      cell: (entry) => (isFleet ? outcomeCell(entry, outcomes.get(entry.id) ?? []) : hostOutcome(entry.fields.result)),
    },
  ],
  rows: page.entries,
  key: ({ id }) => id,
  empty: emptyWords(isFirst, isFiltered, host),
})}
${page.olderThan && html`<nav class="pages" aria-label="Pages of the audit"><a class="button" href="${here(page.olderThan)}">Older</a></nav>`}`;
}

function filterForm(host: string, hosts: readonly string[], { action, by, text }: AuditFilter): Html {
  const option = (value: string, words: string, chosen: string) =>
    html`<option value="${value}"${value === chosen && html` selected`}>${words}</option>`;
  const all = host === FLEET || hosts.includes(host) ? hosts : [host, ...hosts];
  const actions = action === '' || ACTIONS.includes(action) ? ACTIONS : [action, ...ACTIONS];
  return html`<form class="search filter" method="get" action="/audit" role="search">
<label for="stream">Of</label><select id="stream" name="host">${option(FLEET, 'orders to the fleet', host)}${all.map((name) => option(name, name, host))}</select>
<label for="action">Action</label><select id="action" name="action">${option('', 'any', action)}${actions.map((name) => option(name, name, action))}</select>
<label for="by">By</label><input id="by" name="by" value="${by}" maxlength="200" placeholder="policy, ann" autocomplete="off">
<label for="q">Containing</label><input id="q" name="q" type="search" value="${text}" maxlength="200" placeholder="target, account, host, reason">
<button class="quiet">Show</button>${(action !== '' || by !== '' || text !== '') && html` <a href="${link('/audit', { host: host === FLEET ? undefined : host })}">show all</a>`}</form>`;
}

function emptyWords(isFirst: boolean, isFiltered: boolean, host: string): Html {
  const all = html`<a href="${link('/audit', { host: host === FLEET ? undefined : host })}">Back to all of it</a>`;
  if (isFiltered)
    return html`<p><strong>Nothing of that kind${isFirst ? '' : ' before that'}.</strong></p><p>${all}</p>`;
  if (!isFirst) return html`<p><strong>No older entries.</strong></p><p>${all}</p>`;
  return html`<p><strong>Nothing has been ordered yet.</strong></p><p>Every order, release and hold will stand here with its reason and who gave it.</p>`;
}

/** An entry of the fleet leads to what came of it; a part of an act to the whole act. */
function actionCell({ id, fields }: AuditEntry, isFleet: boolean): Html {
  const action = fields.action ?? 'unknown';
  if (!isFleet) return html`<span class="badge">${action}</span>`;
  const part =
    fields.act !== undefined &&
    STREAM_LINK.test(fields.act) &&
    html`<small><a href="${entryLink(fields.act)}">part of an act</a></small>`;
  return html`<a class="badge" href="${entryLink(id)}">${action}</a>${part}`;
}

const STREAM_LINK = /^\d{1,16}-\d{1,16}$/;

function targetCell({ fields: { target, account } }: AuditEntry): Html {
  if (target === undefined && account === undefined) return unknown('none');
  const whose = account !== undefined && account !== target && html`<small>${account}</small>`;
  return html`${target !== undefined && html`<code>${target}</code>`}${whose}`;
}

/** A name that stays on one line where it is short enough for that. */
function shortText(text: string): Html {
  return html`<span class="${text.length <= 24 ? 'whole' : ''}">${text}</span>`;
}

function hostWords(host: string): Html {
  return host === FLEET ? html`every host` : hostText(host);
}

function moreFields(fields: Record<string, string>): Html | null {
  const rest = Object.entries(fields).filter(([name]) => !COLUMNS.includes(name));
  if (rest.length === 0) return null;
  return html`<small>${rest.map(([name, value]) => `${name} ${value.slice(0, 200)}`).join(' · ')}</small>`;
}

/** One outcome in words; of several, how many of each. */
function outcomeCell({ fields }: AuditEntry, outcomes: readonly Outcome[]): Html {
  const [only] = outcomes;
  if (outcomes.length === 1)
    return html`<span class="badge ${OUTCOME_WORDS[only!.state].tone}">${OUTCOME_WORDS[only!.state].words}</span><small>${only!.words.slice(0, 300)}</small>`;
  if (only !== undefined)
    return html`${tally(outcomes).map(({ state, count }) => html`<span class="badge ${OUTCOME_WORDS[state].tone}">${count} ${OUTCOME_WORDS[state].words}</span> `)}`;
  return fields.parts === undefined ? unknown('not about hosts') : html`<small>${fields.parts} parts</small>`;
}

/** A worker writes its result as JSON; whatever else stands there is shown as it is. */
export function hostOutcome(text: string | undefined): Html {
  if (text === undefined) return unknown('not said');
  const result = parseResult(text);
  if (result === null) return html`${text.slice(0, 300)}`;
  const { status, ...details } = result;
  return html`<span class="badge">${String(status)}</span><small>${Object.keys(details).length === 0 ? '' : resultWords(result).slice(String(status).length + 2)}</small>`;
}

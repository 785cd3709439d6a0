/**
 * The fleet page: at 3 a.m., who is slow, why, since when, does it work, is every host alive, and how do I let go.
 * Pure: a reading of the fleet in, HTML out. What changes while the page is open stands in parts; what is typed into does
 * not.
 */
import type { Order } from '../../shared/order.ts';
import { type Attention, attentionFor, plural } from '../fleet/attention.ts';
import type { BrokenRow, Fleet, FleetOrderRow, ReleaseRow } from '../fleet/model.ts';
import { type Cut, countFilters, select, type Wanted } from '../fleet/selection.ts';
import type { FleetAnswer } from '../fleet/source.ts';
import { fleetActs, fleetOrderActs } from './act-links.ts';
import { filterChips, hostForm, targetForm } from './fleet-controls.ts';
import { hostText, percent, relativeTime, timeLeft } from './format.ts';
import { hostsTable } from './hosts-table.ts';
import { type Html, html } from './html.ts';
import { liveTitle, redisAway } from './live.ts';
import { type Part, part, place, tablePart } from './part.ts';
import { accountPath, fleetPath } from './paths.ts';
import { type Column, table } from './table.ts';
import { targetsTable } from './targets-table.ts';

export interface FleetPageView {
  answer: FleetAnswer;
  wanted: Wanted;
  mayAct: boolean;
}

/** Rows of a table that has no pages. */
const MOST_ROWS = 50;

export function fleetPage(view: FleetPageView): Html {
  return fleetFrame(view.wanted, fleetParts(view));
}

/** The page around its parts. */
export function fleetFrame(wanted: Wanted, parts: readonly Part[]): Html {
  const at = (...ids: string[]) => parts.filter(({ id }) => ids.includes(id)).map(place);
  return html`${liveTitle(html`Fleet`, html`${at('acts')}`)}
${at('banners', 'summary')}<div aria-live="polite">${at('attention')}</div>
<section aria-labelledby="tarpit"><div class="title"><h2 id="tarpit">In the tarpit</h2>${targetForm(wanted)}</div>
${at('filters', 'targets')}</section>
${at('fleet-orders', 'releases')}
<section aria-labelledby="hosts"><div class="title"><h2 id="hosts">Hosts</h2>${hostForm(wanted)}</div>
${at('hosts')}</section>
${at('broken')}`;
}

/** What changes while the page is open. The same for everybody of one role: nothing of a session may stand in it. */
export function fleetParts({ answer, wanted, mayAct }: FleetPageView): Part[] {
  const fleet = answer.redis === 'here' ? answer.fleet : answer.last?.fleet;
  // Nobody may be led to believe that a button works while no order can be given.
  const canActNow = mayAct && answer.redis === 'here';
  const banners = html`${answer.redis === 'away' && redisAway(answer)}${fleet && fleetHold(fleet)}`;
  const acts = part('acts', canActNow && fleet ? fleetActs(fleet) : null);
  if (!fleet) return [acts, part('banners', banners)];
  const { nowMs } = fleet;
  const { targets, hosts } = select(fleet, wanted);
  return [
    acts,
    part('banners', banners),
    part('summary', summary(fleet)),
    part('attention', attention(attentionFor(fleet), fleet)),
    part(
      'filters',
      fleet.targets.length > 0 && filterChips(wanted, countFilters(fleet.targets, wanted.query), fleet.targets.length),
    ),
    tablePart(
      'targets',
      targetsTable({
        rows: targets.rows,
        nowMs,
        mayAct: canActNow,
        wanted,
        empty: noTargets(wanted, fleet.targets.length),
      }),
      { below: html`${pages('targets', targets, (page) => fleetPath(wanted, { page }))}` },
    ),
    fleetOrders(fleet.fleetOrders, nowMs, canActNow),
    releases(fleet.releases, nowMs),
    tablePart(
      'hosts',
      hostsTable({ rows: hosts.rows, nowMs, mayAct: canActNow, wanted, empty: noHosts(wanted, fleet.hosts.length) }),
      { below: html`${pages('hosts', hosts, (hostsPage) => fleetPath(wanted, { hostsPage }))}` },
    ),
    brokenRecords(fleet.broken),
  ];
}

function fleetHold({ hold, nowMs }: Fleet): Html | null {
  if (hold === null) return null;
  return html`<div class="banner hold"><p><strong>The fleet is held.</strong> Nothing is hobbled anywhere until the hold is lifted. By ${hold.by} ${relativeTime(hold.sinceMs, nowMs)}: ${hold.reason || 'no reason given'}</p></div>`;
}

function summary({ hosts, targets, releases }: Fleet): Html {
  const count = (liveness: string) => hosts.filter((host) => host.liveness === liveness).length;
  const of = (state: string) => targets.filter(({ report }) => report?.state === state).length;
  const costs = hosts.flatMap(({ status }) => (status?.ownCpuRatio == null ? [] : [status.ownCpuRatio]));
  const processes = targets.reduce((sum, { report }) => sum + (report?.processes ?? 0), 0);
  const pending = releases.filter(({ pendingOn }) => pendingOn.length > 0).length;
  const fact = (label: string, value: string | number, detail: string) =>
    html`<div><dt>${label}</dt><dd>${value}<small>${detail}</small></dd></div>`;
  return html`<dl class="summary">
${fact('Hosts', hosts.length, `${count('alive')} alive · ${count('late')} late · ${count('lost')} lost`)}
${fact('In the tarpit', targets.length, `${of('hobbling')} hobbling · ${of('spared')} spared · ${of('armed')} armed`)}
${fact('Processes', processes, 'in the tarpit now')}
${fact('Own cost', costs.length === 0 ? '–' : percent(costs.reduce((a, b) => a + b, 0) / costs.length), 'of one core, mean per host')}
${fact('Releases pending', pending, pending === 0 ? 'none is waited for' : 'waiting for the host')}
</dl>`;
}

function attention(lines: readonly Attention[], { hosts }: Fleet): Html | null {
  if (lines.length === 0 && hosts.length === 0) return null;
  if (lines.length === 0) return html`<p class="fine">Nothing needs attention.</p>`;
  return html`<section aria-labelledby="attention"><h2 id="attention">Needs attention</h2><ul class="attention">${lines.map(
    ({ level, what, todo }) => html`<li class="${level}"><strong>${what}</strong> <span>${todo}</span></li>`,
  )}</ul></section>`;
}

function noTargets({ query, filter }: Wanted, all: number): Html {
  if (query !== '') return html`<p>No target matches “${query}”. <a href="/">Show all ${all}</a>.</p>`;
  if (filter !== 'all') return html`<p>No target is ${filter} now. <a href="/">Show all ${all}</a>.</p>`;
  return html`<p><strong>Nobody is in the tarpit.</strong></p>
<p>Readings over a limit put accounts here by themselves. By hand: <code>hobbler tarpit user:alice --for 30m --reason "…"</code></p>`;
}

function noHosts({ hostQuery, hostFilter }: Wanted, all: number): Html {
  if (all > 0 && (hostQuery !== '' || hostFilter !== 'all'))
    return html`<p>No host ${hostQuery === '' ? `is ${hostFilter}` : `matches “${hostQuery}”`} now. <a href="/">Show all ${all}</a>.</p>`;
  return html`<p><strong>No host has ever reported.</strong></p>
<p>Start a worker on the first one: <code>hobbler worker</code>, with the same <code>REDIS_URL</code> as this admin. <code>hobbler doctor</code> says what is missing there. It appears here by itself.</p>`;
}

function pages<Row>(
  noun: string,
  { page, pages, count, first, rows }: Cut<Row>,
  href: (page: number) => string,
): Html | null {
  if (pages === 1) return null;
  const to = (number: number, words: string) => html`<a class="button" href="${href(number)}">${words}</a>`;
  return html`<nav class="pages" aria-label="Pages of ${noun}">${page > 1 && to(page - 1, 'Previous')}<span>${first}–${first + rows.length - 1} of ${count} ${noun}</span>${page < pages && to(page + 1, 'Next')}</nav>`;
}

function fleetOrders(rows: readonly FleetOrderRow[], nowMs: number, mayAct: boolean): Part {
  if (rows.length === 0) return part('fleet-orders', null);
  const columns: Column<FleetOrderRow>[] = [
    {
      label: 'Account',
      kind: 'head',
      cell: ({ order }) => accountOf(order),
    },
    {
      label: 'Asked',
      cell: ({ order: { hobble } }) =>
        html`${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms<small>mechanism ${hobble.mechanism}</small>`,
    },
    {
      label: 'Hosts',
      kind: 'number',
      cell: ({ reportedBy, activeOn }) => html`${activeOn} with processes<small>${reportedBy} took it up</small>`,
    },
    { label: 'Reason', cell: ({ order }) => html`${order.reason}<small>by ${order.by}</small>` },
    { label: 'Left', kind: 'number', cell: ({ order }) => timeLeft(order.expiresAt, nowMs) },
  ];
  if (mayAct) columns.push({ label: 'Release', kind: 'act', cell: ({ order }) => fleetOrderActs(order.target) });
  const fewest = { caption: 'Orders for the whole fleet', columns, rows: rows.slice(0, MOST_ROWS) };
  return tablePart(
    'fleet-orders',
    { ...fewest, key: ({ order }) => order.target, empty: html`` },
    {
      above: html`<section aria-labelledby="fleet-orders"><h2 id="fleet-orders">Orders for the whole fleet</h2>`,
      below: html`${more(rows.length)}</section>`,
    },
  );
}

function releases(rows: readonly ReleaseRow[], nowMs: number): Part {
  if (rows.length === 0) return part('releases', null);
  const outcome = ({ pendingOn }: ReleaseRow) => {
    if (pendingOn.length === 0) return html`<span class="badge good">let go</span>`;
    const hosts = pendingOn
      .slice(0, 5)
      .map(({ host, liveness }) => `${host}${liveness === 'alive' ? '' : ` (${liveness})`}`);
    return html`<span class="badge pending">pending</span><small>waiting for ${hosts.join(', ')}${pendingOn.length > 5 && ` and ${pendingOn.length - 5} more`}</small>`;
  };
  return tablePart(
    'releases',
    {
      caption: 'Releases of the last 10 minutes',
      columns: [
        { label: 'Account', kind: 'head', cell: ({ order }: ReleaseRow) => accountOf(order) },
        { label: 'Where', cell: ({ order }: ReleaseRow) => (order.host === '*' ? 'every host' : hostText(order.host)) },
        { label: 'Outcome', cell: outcome },
        { label: 'Reason', cell: ({ order }: ReleaseRow) => html`${order.reason}<small>by ${order.by}</small>` },
        { label: 'When', kind: 'number', cell: ({ order }: ReleaseRow) => relativeTime(order.issuedAt, nowMs) },
      ],
      rows,
      key: ({ order }) => `${order.host} ${order.target} ${order.version}`,
      empty: html``,
    },
    {
      above: html`<section aria-labelledby="releases"><h2 id="releases">Released in the last 10 minutes</h2>`,
      below: html`</section>`,
    },
  );
}

function brokenRecords(rows: readonly BrokenRow[]): Part {
  if (rows.length === 0) return part('broken', null);
  const content = html`<section aria-labelledby="broken"><h2 id="broken">Broken records</h2>
<p>${rows.length} ${plural(rows.length, 'record')} in Redis cannot be read. Everything else above is complete. A newer worker than this admin, or a writer that breaks the contract, does this.</p>
${table({
  caption: 'Records that cannot be read',
  columns: [
    { label: 'Where', kind: 'head', cell: ({ where }: BrokenRow) => where },
    { label: 'Record', cell: ({ record }: BrokenRow) => record.slice(0, 300) },
    { label: 'Why', cell: ({ why }: BrokenRow) => why.slice(0, 500) },
  ],
  rows: rows.slice(0, 100),
  key: ({ where, record }) => `${where} ${record}`,
  empty: html``,
})}</section>`;
  return part('broken', content);
}

function accountOf({ account, target }: Order): Html {
  const name =
    account === undefined
      ? html`<strong>${target}</strong>`
      : html`<a class="name" href="${accountPath(account)}">${account}</a>`;
  return html`${name}<small><code>${target}</code></small>`;
}

function more(count: number): Html | null {
  return count > MOST_ROWS
    ? html`<p class="more">and ${count - MOST_ROWS} more; the search finds their targets</p>`
    : null;
}

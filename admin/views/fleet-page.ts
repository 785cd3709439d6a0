/**
 * The fleet page: at 3 a.m., who is slow, why, since when, does it work, is every host alive, and how do I let go.
 * Pure: a reading of the fleet in, HTML out. Only what stands in `#live` changes at a refresh.
 */
import { formatDuration } from '../../shared/duration.ts';
import { attentionFor, plural } from '../fleet/attention.ts';
import type { BrokenRow, Fleet, FleetOrderRow, ReleaseRow } from '../fleet/model.ts';
import { type Cut, type Selection, select, type Wanted } from '../fleet/selection.ts';
import type { FleetAnswer } from '../fleet/source.ts';
import { percent, relativeTime, timeLeft } from './format.ts';
import { hostsTable } from './hosts-table.ts';
import { type Html, html, link } from './html.ts';
import { table } from './table.ts';
import { targetsTable } from './targets-table.ts';

export interface FleetPageView {
  answer: FleetAnswer;
  wanted: Wanted;
  mayAct: boolean;
}

export function fleetPage({ answer, wanted, mayAct }: FleetPageView): Html {
  const fleet = answer.redis === 'here' ? answer.fleet : answer.last?.fleet;
  // Nobody may be led to believe that a button works while no order can be given.
  const canActNow = mayAct && answer.redis === 'here';
  return html`<p id="stale" class="banner bad" role="alert" hidden>The admin does not answer. What you see may be old.</p>
<div id="live">
<div class="title"><h1>Fleet</h1><div class="acts"><button type="button" id="live-switch" class="quiet" hidden>Pause refresh</button>${canActNow && fleet && fleetHoldButton(fleet)}</div></div>
${answer.redis === 'away' && redisAway(answer)}
${fleet ? fleetBody(fleet, select(fleet, wanted), canActNow) : null}
</div>`;
}

function redisAway({ why, last }: Extract<FleetAnswer, { redis: 'away' }>): Html {
  return html`<div class="banner bad" role="alert"><p><strong>Redis is away</strong> (${why}). ${
    last ? html`This is what was seen ${formatDuration(last.ageMs)} ago.` : 'Nothing was seen of the fleet yet.'
  } Orders cannot be given from here.</p>
<p>Hosts go on under their own locks and orders expire by themselves. To let go of everything on a host without Redis, run there: <code>hobbler release-all</code>. This page comes back by itself.</p></div>`;
}

function fleetHoldButton({ hold }: Fleet): Html {
  return hold
    ? html`<a class="button" href="/unhold">Lift the fleet’s hold</a>`
    : html`<a class="button danger" href="/hold">Hold the fleet</a>`;
}

function fleetBody(fleet: Fleet, selection: Selection, mayAct: boolean): Html {
  const { nowMs } = fleet;
  const { query, targets, hosts } = selection;
  return html`${fleet.hold && html`<div class="banner hold"><p><strong>The fleet is held.</strong> Nothing is hobbled anywhere until the hold is lifted. By ${fleet.hold.by} ${relativeTime(fleet.hold.sinceMs, nowMs)}: ${fleet.hold.reason || 'no reason given'}</p></div>`}
${summary(fleet)}
${attention(fleet)}
<section aria-labelledby="tarpit"><div class="title"><h2 id="tarpit">In the tarpit</h2>${search(selection, fleet.targets.length)}</div>
${targetsTable({ rows: targets.rows, nowMs, mayAct, empty: noTargets(query, fleet.targets.length) })}
${pages('targets', targets, (page) => link('/', { q: query || undefined, page, hosts: pageText(hosts.page) }))}</section>
${fleetOrders(fleet.fleetOrders, nowMs, mayAct)}
${releases(fleet.releases, nowMs)}
<section aria-labelledby="hosts"><h2 id="hosts">Hosts</h2>
${hostsTable({ rows: hosts.rows, nowMs, mayAct })}
${pages('hosts', hosts, (page) => link('/', { q: query || undefined, page: pageText(targets.page), hosts: page }))}</section>
${brokenRecords(fleet.broken)}`;
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

function attention(fleet: Fleet): Html | null {
  const lines = attentionFor(fleet);
  if (lines.length === 0 && fleet.hosts.length === 0) return null;
  if (lines.length === 0) return html`<p class="fine">Nothing needs attention.</p>`;
  return html`<section aria-labelledby="attention"><h2 id="attention">Needs attention</h2><ul class="attention">${lines.map(
    ({ level, what, todo }) => html`<li class="${level}"><strong>${what}</strong> <span>${todo}</span></li>`,
  )}</ul></section>`;
}

function search({ query, targets }: Selection, all: number): Html {
  return html`<form class="search" method="get" action="/" role="search"><label class="sr" for="q">Search targets</label><input id="q" name="q" type="search" value="${query}" placeholder="account, host, state, reason" maxlength="200"><button class="quiet">Search</button>${
    query !== '' && html` <span>${targets.count} of ${all}</span> <a href="/">show all</a>`
  }</form>`;
}

function noTargets(query: string, all: number): Html {
  if (query !== '') return html`<p>No target matches “${query}”. <a href="/">Show all ${all}</a>.</p>`;
  return html`<p><strong>Nobody is in the tarpit.</strong></p>
<p>Readings over a limit put accounts here by themselves. By hand: <code>hobbler tarpit user:alice --for 30m --reason "…"</code></p>`;
}

function pages<Row>(noun: string, { page, pages, count }: Cut<Row>, href: (page: string) => string): Html | null {
  if (pages === 1) return null;
  const to = (number: number, words: string) => html`<a class="button" href="${href(String(number))}">${words}</a>`;
  return html`<nav class="pages" aria-label="Pages of ${noun}">${page > 1 && to(page - 1, 'Previous')}<span>page ${page} of ${pages}, ${count} ${noun}</span>${page < pages && to(page + 1, 'Next')}</nav>`;
}

/** The first page needs no mention in a link. */
function pageText(page: number): string | undefined {
  return page === 1 ? undefined : String(page);
}

function fleetOrders(rows: readonly FleetOrderRow[], nowMs: number, mayAct: boolean): Html | null {
  if (rows.length === 0) return null;
  const columns = [
    {
      label: 'Account',
      kind: 'head' as const,
      cell: ({ order }: FleetOrderRow) =>
        html`<strong>${order.account ?? order.target}</strong><small><code>${order.target}</code></small>`,
    },
    {
      label: 'Asked',
      cell: ({ order: { hobble } }: FleetOrderRow) =>
        html`${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms<small>mechanism ${hobble.mechanism}</small>`,
    },
    {
      label: 'Hosts',
      kind: 'number' as const,
      cell: ({ reportedBy, activeOn }: FleetOrderRow) =>
        html`${activeOn} with processes<small>${reportedBy} took it up</small>`,
    },
    { label: 'Reason', cell: ({ order }: FleetOrderRow) => html`${order.reason}<small>by ${order.by}</small>` },
    { label: 'Left', kind: 'number' as const, cell: ({ order }: FleetOrderRow) => timeLeft(order.expiresAt, nowMs) },
    ...(mayAct
      ? [
          {
            label: 'Release',
            kind: 'act' as const,
            cell: ({ order: { target } }: FleetOrderRow) =>
              html`<a class="button" href="${link('/release', { host: '*', target })}" aria-label="Release ${target} everywhere">Release everywhere</a>`,
          },
        ]
      : []),
  ];
  return html`<section aria-labelledby="fleet-orders"><h2 id="fleet-orders">Orders for the whole fleet</h2>
${table({ caption: 'Orders for the whole fleet', columns, rows, key: ({ order }) => order.target, empty: html`` })}</section>`;
}

function releases(rows: readonly ReleaseRow[], nowMs: number): Html | null {
  if (rows.length === 0) return null;
  const outcome = ({ pendingOn }: ReleaseRow) => {
    if (pendingOn.length === 0) return html`<span class="badge good">let go</span>`;
    const hosts = pendingOn
      .slice(0, 5)
      .map(({ host, liveness }) => `${host}${liveness === 'alive' ? '' : ` (${liveness})`}`);
    return html`<span class="badge pending">pending</span><small>waiting for ${hosts.join(', ')}${pendingOn.length > 5 && ` and ${pendingOn.length - 5} more`}</small>`;
  };
  return html`<section aria-labelledby="releases"><h2 id="releases">Released in the last 10 minutes</h2>
${table({
  caption: 'Releases of the last 10 minutes',
  columns: [
    {
      label: 'Account',
      kind: 'head',
      cell: ({ order }: ReleaseRow) =>
        html`<strong>${order.account ?? order.target}</strong><small><code>${order.target}</code></small>`,
    },
    { label: 'Where', cell: ({ order }: ReleaseRow) => (order.host === '*' ? 'every host' : order.host) },
    { label: 'Outcome', cell: outcome },
    { label: 'Reason', cell: ({ order }: ReleaseRow) => html`${order.reason}<small>by ${order.by}</small>` },
    { label: 'When', kind: 'number', cell: ({ order }: ReleaseRow) => relativeTime(order.issuedAt, nowMs) },
  ],
  rows,
  key: ({ order }) => `${order.host} ${order.target} ${order.version}`,
  empty: html``,
})}</section>`;
}

function brokenRecords(rows: readonly BrokenRow[]): Html | null {
  if (rows.length === 0) return null;
  return html`<section aria-labelledby="broken"><h2 id="broken">Broken records</h2>
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
}

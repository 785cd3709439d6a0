/**
 * The page of one host: is it alive, what can it do and why, whom does it slow, what came of its last orders, whom does it
 * never touch; and the processes of one target. Pure: what was read in, HTML out.
 */
import { formatDuration } from '../../shared/duration.ts';
import type { Exemptions, Status } from '../../shared/report.ts';
import type { AuditEntry } from '../audit.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { type Cut, cutTargets, WANT_ALL } from '../fleet/selection.ts';
import type { FleetAnswer } from '../fleet/source.ts';
import type { TreeLook } from '../fleet/trees.ts';
import { orderJobLink, queueLink } from '../queues/names.ts';
import { hostActs } from './act-links.ts';
import { hostOutcome } from './audit-page.ts';
import { bytes, hostText, known, milliseconds, percent, relativeTime, unknown } from './format.ts';
import { hostState } from './hosts-table.ts';
import { type Html, html, link } from './html.ts';
import { liveTitle, redisAway } from './live.ts';
import { type Part, part, place, tablePart } from './part.ts';
import { accountPath, auditPath, hostPath } from './paths.ts';
import { targetsTable } from './targets-table.ts';
import { treePart } from './tree-table.ts';

export interface HostPageView {
  answer: FleetAnswer;
  host: string;
  /** Whose processes are shown, and what the worker said of them. */
  target: string | null;
  look: TreeLook | null;
  /** The newest entries of the host's audit; null: not read, since Redis is away. */
  entries: readonly AuditEntry[] | null;
  page: number;
  mayAct: boolean;
}

export function hostPage(view: HostPageView): Html {
  const parts = hostParts(view);
  const at = (...ids: string[]) => parts.filter(({ id }) => ids.includes(id)).map(place);
  const heading = html`${hostText(view.host)}`;
  return html`<p class="crumbs"><a href="/">Fleet</a> · <a href="${queueLink(view.host)}">queue</a> · <a href="${auditPath(view.host)}">audit</a></p>
${liveTitle(heading, html`${at('acts')}`)}
${at('banners', 'facts')}
<section aria-labelledby="targets"><h2 id="targets">In the tarpit here</h2>${at('targets')}</section>
${at('tree')}
<section aria-labelledby="orders"><h2 id="orders">Last orders</h2>${at('orders')}</section>
<div class="columns"><section aria-labelledby="mechanisms"><h2 id="mechanisms">Mechanisms</h2>${at('mechanisms')}</section>
<section aria-labelledby="exemptions"><h2 id="exemptions">Never hobbled here</h2>${at('exemptions')}</section></div>`;
}

/** What changes while the page is open. The same for everybody of one role. */
export function hostParts({ answer, host, target, look, entries, page, mayAct }: HostPageView): Part[] {
  const fleet = answer.redis === 'here' ? answer.fleet : answer.last?.fleet;
  const canActNow = mayAct && answer.redis === 'here';
  const row = fleet?.hosts.find((one) => one.host === host);
  const away = answer.redis === 'away' && redisAway(answer);
  const gone =
    fleet &&
    !row &&
    html`<div class="banner bad"><p role="alert"><strong>${host} is in no list of hosts any more.</strong> It was removed, or never reported. <a href="/">Back to the fleet</a>.</p></div>`;
  const banners = part('banners', html`${away}${gone}`);
  if (!fleet || !row) return [part('acts', null), banners];
  const { nowMs } = fleet;
  const own = fleet.targets.filter((one) => one.host === host);
  const cut = cutTargets(own, { ...WANT_ALL, page });
  const tree =
    target === null
      ? part('tree', null)
      : treePart({ host, target, look: look ?? { tree: null, atMs: null }, isAlive: row.liveness !== 'lost', nowMs });
  return [
    part('acts', canActNow ? hostActs(row) : null),
    banners,
    part('facts', facts(row, nowMs)),
    tablePart(
      'targets',
      targetsTable({ rows: cut.rows, nowMs, mayAct: canActNow, isOfOneHost: true, empty: noTargets(host) }),
      {
        below: html`${target === null && own.length > 0 ? html`<p class="more">A target’s name leads to its processes.</p>` : null}${pages(host, target, cut)}`,
      },
    ),
    tree,
    ordersPart(host, entries, nowMs),
    mechanismsPart(row.status),
    part('exemptions', exemptionWords(row.status?.exemptions ?? null)),
  ];
}

function noTargets(host: string): Html {
  return html`<p><strong>Nobody is in the tarpit on ${host}.</strong></p><p>By hand: <code>hobbler tarpit user:alice --host ${host} --for 30m --reason "…"</code></p>`;
}

function pages(host: string, target: string | null, { page, pages, count, first, rows }: Cut<TargetRow>): Html | null {
  if (pages === 1) return null;
  const to = (number: number, words: string) =>
    html`<a class="button" href="${link(`/hosts/${encodeURIComponent(host)}`, { target: target ?? undefined, page: String(number) })}">${words}</a>`;
  return html`<nav class="pages" aria-label="Pages of targets">${page > 1 && to(page - 1, 'Previous')}<span>${first}–${first + rows.length - 1} of ${count} targets</span>${page < pages && to(page + 1, 'Next')}</nav>`;
}

function facts(row: HostRow, nowMs: number): Html {
  const { status } = row;
  const fact = (label: string, value: Html | string, detail: Html | string = '') =>
    html`<div><dt>${label}</dt><dd>${value}<small>${detail}</small></dd></div>`;
  if (status === null) {
    return html`<dl class="summary facts-of-host"><div class="wide"><dt>State</dt><dd class="state">${hostState(row, nowMs)}<small>It has left no status that can be read. On the host: <code>systemctl status hobbler-worker</code>, <code>hobbler doctor</code>.</small></dd></div></dl>`;
  }
  const { pressure } = status;
  const share = (ratio: number | null) => known(ratio, percent);
  return html`<dl class="summary facts-of-host"><div><dt>State</dt><dd class="state">${hostState(row, nowMs)}</dd></div>
${fact('Load', html`${status.load1.toFixed(2)}`, `${status.cores} ${status.cores === 1 ? 'core' : 'cores'}`)}
${fact('Somebody waits for a core', share(pressure.cpu), html`memory ${share(pressure.memory)} · disk ${share(pressure.io)}`)}
${fact('In the tarpit', String(row.targets), `${status.processes} ${status.processes === 1 ? 'process' : 'processes'} · ${Math.round(status.stopsPerSecond)} stops/s`)}
${fact('Own cost', share(status.ownCpuRatio), `of one core · ${bytes(status.rssBytes)}`)}
${fact('Phases late by', known(status.latenessP99Ms, milliseconds), html`p99 · median ${known(status.latenessP50Ms, milliseconds)}`)}
${fact('Guard', html`<span class="badge ${status.guard === 'alive' ? 'good' : 'bad'}">${status.guard}</span>`, html`Redis in ${known(status.redisRttMs, milliseconds)}`)}
${fact('Worker', html`<span class="calm-value">${status.hobblerVersion}</span>`, html`pid ${status.pid}, up ${formatDuration(nowMs - status.startedAtMs)}, epoch ${status.epoch}`)}
</dl>`;
}

function ordersPart(host: string, entries: readonly AuditEntry[] | null, nowMs: number): Part {
  const empty =
    entries === null
      ? html`<p>Not read: Redis is away.</p>`
      : html`<p><strong>No order has come here yet.</strong></p><p>What came of each will stand here.</p>`;
  return tablePart(
    'orders',
    {
      caption: `What ${host} made of its last orders`,
      columns: [
        { label: 'When', kind: 'head', cell: ({ atMs }: AuditEntry) => relativeTime(atMs, nowMs) },
        { label: 'Order', cell: (entry: AuditEntry) => orderCell(host, entry) },
        { label: 'Outcome', cell: ({ fields }: AuditEntry) => hostOutcome(fields.result) },
        { label: 'By', cell: ({ fields }: AuditEntry) => fields.by ?? unknown() },
        { label: 'Reason', cell: ({ fields }: AuditEntry) => fields.reason || unknown('no reason given') },
      ],
      rows: entries ?? [],
      key: ({ id }) => id,
      empty,
    },
    {
      below: html`<p class="more"><a href="${auditPath(host)}">All of them</a>, in the audit of this host. Renewals are no orders of their own.</p>`,
    },
  );
}

function orderCell(host: string, { fields }: AuditEntry): Html {
  const { action = 'unknown', target, account, version } = fields;
  const job =
    target !== undefined && Number.isSafeInteger(Number(version)) && version !== undefined
      ? html` · <a href="${orderJobLink({ host, target, version: Number(version) })}">job</a>`
      : null;
  const whose = account === undefined ? null : html`<a href="${accountPath(account)}">${account}</a>`;
  return html`<span class="badge">${action}</span> ${target === undefined ? null : html`<a class="plain" href="${hostPath(host, target)}"><code>${target}</code></a>`}<small>${whose}${job}</small>`;
}

function mechanismsPart(status: Status | null): Part {
  return tablePart('mechanisms', {
    caption: 'What each mechanism can do here, and why',
    columns: [
      { label: 'Mechanism', kind: 'head', cell: ([name]) => html`<strong>${name}</strong>` },
      {
        label: 'Here',
        cell: ([, { supported }]) =>
          html`<span class="badge ${supported ? 'good' : 'calm'}">${supported ? 'works' : 'does not work'}</span>`,
      },
      { label: 'Why', cell: ([, { why }]) => why },
    ],
    rows: Object.entries(status?.mechanisms ?? {}),
    key: ([name]) => name,
    empty: html`<p>It has not said what it can do. <code>hobbler doctor</code> on the host tries each.</p>`,
  });
}

function exemptionWords(exemptions: Exemptions | null): Html {
  if (exemptions === null)
    return html`<div class="empty"><p>It does not say: its worker is older than this admin.</p></div>`;
  const { minUid, users, groups, cgroups, leftOut } = exemptions;
  const list = (label: string, names: readonly string[]) =>
    html`<div><dt>${label}</dt><dd>${names.length === 0 ? unknown('none') : html`<ul class="chips">${names.map((name) => html`<li class="chip">${name}</li>`)}</ul>`}</dd></div>`;
  return html`<dl class="exemptions"><div><dt>Always</dt><dd>pid 1, kernel threads, uids below ${minUid}, the worker, its guard and their ancestors</dd></div>${list('Users', users)}${list('Groups', groups)}${list('Cgroups', cgroups)}</dl>${leftOut > 0 && html`<p class="more">and ${leftOut} more</p>`}
<p class="more">From <code>worker.exempt</code> in the config file of this host. No order can override it.</p>`;
}

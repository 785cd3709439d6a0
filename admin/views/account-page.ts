/**
 * The page of one account: why it is where it is, its course against its limits, where it is slowed now, and what happened
 * when. Pure: what was read in, HTML out.
 */
import { exemptLink, tarpitLink, unexemptLink } from '../act/links.ts';
import type { AccountReading } from '../fleet/account.ts';
import type { Fleet, FleetOrderRow } from '../fleet/model.ts';
import { cutTargets, WANT_ALL } from '../fleet/selection.ts';
import type { FleetAnswer } from '../fleet/source.ts';
import { percent, relativeTime, timeLeft } from './format.ts';
import { type Html, html, link } from './html.ts';
import { liveTitle, redisAway } from './live.ts';
import { type Part, part, place, tablePart } from './part.ts';
import { targetsTable } from './targets-table.ts';
import { courseOf, timeline } from './timeline.ts';

export interface AccountPageView {
  answer: FleetAnswer;
  account: string;
  /** Null: not read, since Redis is away. */
  reading: AccountReading | null;
  mayAct: boolean;
}

type HistoryLine = AccountReading['history'][number];
type Change = HistoryLine & { kind: 'change' };
type Reading = HistoryLine & { kind: 'reading' };
const isChange = (entry: HistoryLine): entry is Change => entry.kind === 'change';
const isReading = (entry: HistoryLine): entry is Reading => entry.kind === 'reading';

/** The account as a whole, as the producer calls it. */
const ACCOUNT_WIDE = 'account';
const MAX_ROWS = 50;

const CHANGE_WORDS: Record<string, { words: string; tone: string }> = {
  in: { words: 'put in', tone: 'active' },
  out: { words: 'let go', tone: 'good' },
  harsher: { words: 'harsher', tone: 'bad' },
  milder: { words: 'milder', tone: 'calm' },
};

export function accountPage(view: AccountPageView): Html {
  const parts = accountParts(view);
  const at = (...ids: string[]) => parts.filter(({ id }) => ids.includes(id)).map(place);
  return html`<p class="crumbs"><a href="/">Fleet</a> · <a href="${link('/audit', { q: view.account })}">audit</a></p>
${liveTitle(html`${view.account}`, html`${at('acts')}`)}
${at('banners', 'why')}
<section aria-labelledby="course"><h2 id="course">Use and penalties</h2>${at('course')}</section>
<section aria-labelledby="targets"><h2 id="targets">In the tarpit now</h2>${at('targets')}</section>
<section aria-labelledby="happened"><h2 id="happened">What happened</h2>${at('changes')}
<details><summary>The readings behind it</summary>${at('readings')}</details></section>`;
}

/** What changes while the page is open. The same for everybody of one role. */
export function accountParts({ answer, account, reading, mayAct }: AccountPageView): Part[] {
  const fleet = answer.redis === 'here' ? answer.fleet : answer.last?.fleet;
  const canActNow = mayAct && answer.redis === 'here';
  const nowMs = fleet?.nowMs ?? 0;
  const history = reading?.history ?? [];
  return [
    part('acts', canActNow ? acts(account, reading) : null),
    part('banners', answer.redis === 'away' && redisAway(answer)),
    part('why', why(account, reading, fleet ?? null)),
    part('course', course(account, history, nowMs)),
    targetsPart(account, fleet ?? null, canActNow),
    changesPart(history.filter(isChange), reading, nowMs),
    readingsPart(history.filter(isReading), nowMs),
  ];
}

function acts(account: string, reading: AccountReading | null): Html {
  const pin = reading?.pin
    ? html`<a class="button" href="${unexemptLink(account)}">Leave it to the policy</a>`
    : html`<a class="button" href="${exemptLink(account)}">Keep out</a>`;
  return html`<div class="acts">${pin}<a class="button" href="${tarpitLink({ account })}">Tarpit</a></div>`;
}

function why(account: string, reading: AccountReading | null, fleet: Fleet | null): Html {
  const nowMs = fleet?.nowMs ?? 0;
  const explained = reading?.explained ?? null;
  const pin = reading?.pin;
  const pinned =
    pin &&
    html`<p><span class="badge hold">${pin.kind === 'release' ? 'kept out' : 'kept in'}</span> by ${pin.by} ${relativeTime(pin.setAtMs, nowMs)}${
      pin.untilMs === null ? ', until another word' : html`, for another ${timeLeft(pin.untilMs, nowMs)}`
    }${pin.why !== '' && `: ${pin.why}`}</p>`;
  if (explained === null) {
    const slowed = fleet?.targets.some((row) => row.account === account) ?? false;
    const words = slowed
      ? 'It is slowed by an order that no policy of this Redis gave: by hand, or by another system. Its reason stands with each target below.'
      : 'The policy has noted nothing of this account: it comes near no limit, or no producer takes readings of it.';
    return html`<div class="why">${pinned}<p>${words}</p></div>`;
  }
  return html`<div class="why">${pinned}${explained.subjects.map(
    ({
      subject,
      summary,
      details,
      isSlowed,
    }) => html`<div><p class="said"><span class="badge ${isSlowed ? 'active' : 'good'}">${isSlowed ? 'slowed' : 'free'}</span> ${subject !== ACCOUNT_WIDE && html`<code>${subject}</code> `}${summary}</p>
<ul>${details.map((line) => html`<li>${line}</li>`)}</ul></div>`,
  )}<p class="more">As the policy saw it ${relativeTime(explained.atMs, nowMs)}; <code>hobbler policy explain</code> says it anew.</p></div>`;
}

function course(account: string, history: readonly HistoryLine[], nowMs: number): Html {
  const subjects = [...new Set(history.map(({ subject }) => subject))];
  const plots = subjects.slice(0, 3).flatMap((subject) => {
    const drawn = courseOf(
      history.filter((entry) => entry.subject === subject),
      nowMs,
    );
    if (!drawn) return [];
    return [html`${subject !== ACCOUNT_WIDE && html`<h3><code>${subject}</code></h3>`}${timeline(account, drawn)}`];
  });
  if (plots.length > 0) return html`${plots}`;
  return html`<div class="empty"><p><strong>No course yet.</strong></p><p>The producer writes one down once readings bring this account to half of a limit: <code>POST /v1/readings</code>.</p></div>`;
}

function targetsPart(account: string, fleet: Fleet | null, mayAct: boolean): Part {
  if (!fleet) return part('targets', null);
  const own = fleet.targets.filter((row) => row.account === account);
  const { rows } = cutTargets(own, WANT_ALL);
  const orders = fleet.fleetOrders.filter(({ order }) => order.account === account);
  return tablePart(
    'targets',
    targetsTable({
      ...{ rows, nowMs: fleet.nowMs, mayAct },
      empty: html`<p><strong>${account} is not slowed anywhere.</strong></p>`,
    }),
    {
      below: html`${own.length > rows.length && html`<p class="more">and ${own.length - rows.length} more; <a href="${link('/', { q: account })}">all of them</a></p>`}${orders.map((row) => fleetOrderWords(row, fleet.nowMs))}`,
    },
  );
}

function fleetOrderWords({ order, activeOn, reportedBy }: FleetOrderRow, nowMs: number): Html {
  return html`<p class="more">An order for every host stands for <code>${order.target}</code>, for another ${timeLeft(order.expiresAt, nowMs)}: ${activeOn} of ${reportedBy} hosts that took it up have processes.</p>`;
}

function changesPart(changes: readonly Change[], reading: AccountReading | null, nowMs: number): Part {
  const told = changes.toReversed().slice(0, MAX_ROWS);
  const unreadable = reading?.unreadable ?? 0;
  return tablePart(
    'changes',
    {
      caption: 'How it was treated, newest first',
      columns: [
        { label: 'When', kind: 'head', cell: ({ atMs }: Change) => relativeTime(atMs, nowMs) },
        { label: 'What', cell: changeCell },
        { label: 'From then on', cell: levelCell },
        { label: 'Why', cell: ({ why }: Change) => why },
      ],
      rows: told,
      key: ({ atMs, subject, change }) => `${atMs} ${subject} ${change}`,
      empty: html`<p>No change of its treatment was written down${reading === null ? ' that can be read now: Redis is away' : ''}.</p>`,
    },
    {
      below: html`${earlier(changes.length - told.length)}${unreadable > 0 && html`<p class="more">${unreadable} records cannot be read: another version of the producer wrote them.</p>`}`,
    },
  );
}

function readingsPart(readings: readonly Reading[], nowMs: number): Part {
  const told = readings.toReversed().slice(0, MAX_ROWS);
  return tablePart(
    'readings',
    {
      caption: 'Readings near a limit, newest first',
      columns: [
        { label: 'When', kind: 'head', cell: ({ atMs }: Reading) => relativeTime(atMs, nowMs) },
        { label: 'Limit', cell: ({ limit, subject }: Reading) => html`${limit}${subjectOf(subject)}` },
        {
          label: 'Used',
          kind: 'number',
          cell: ({ used, of, unit, resource }: Reading) => `${resource} ${short(used)} of ${short(of)} ${unit}`,
        },
        { label: 'Of the limit', kind: 'number', cell: ({ used, of }: Reading) => percent(used / of) },
      ],
      rows: told,
      key: ({ atMs, subject, limit }) => `${atMs} ${subject} ${limit}`,
      empty: html`<p>None was written down: nothing came near a limit lately.</p>`,
    },
    { below: html`${earlier(readings.length - told.length)}` },
  );
}

function earlier(count: number): Html | null {
  return count > 0 ? html`<p class="more">and ${count} earlier</p>` : null;
}

function subjectOf(subject: string): Html | null {
  return subject === ACCOUNT_WIDE ? null : html` <code>${subject}</code>`;
}

function changeCell({ change, subject }: Change): Html {
  const { words, tone } = CHANGE_WORDS[change] ?? { words: change, tone: 'calm' };
  return html`<span class="badge ${tone}">${words}</span>${subjectOf(subject)}`;
}

function levelCell({ hobble, level, limit }: Change): Html {
  if (hobble === null) return html`free`;
  return html`${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms<small>${level === null ? 'by an operator' : `level ${level} of ${limit}`}</small>`;
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

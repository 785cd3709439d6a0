/**
 * What came of one entry of the fleet's audit: who ordered what and why, and host by host what the workers say. It follows
 * live. Pure: a trace in, HTML out.
 */
import { FLEET } from '../../shared/order.ts';
import { exemptLink, unexemptLink, unholdLink } from '../act/links.ts';
import { type Outcome, type OutcomeState, tally } from '../act/outcome.ts';
import type { Trace } from '../act/trace.ts';
import { orderJobLink } from '../queues/names.ts';
import { hostText, relativeTime, unknown } from './format.ts';
import { type Html, html, link } from './html.ts';
import { liveTitle } from './live.ts';
import { type Part, part, place, tablePart } from './part.ts';
import type { Table } from './table.ts';

export interface EntryView {
  trace: Trace;
  mayAct: boolean;
  nowMs: number;
}

export const OUTCOME_WORDS: Record<OutcomeState, { tone: string; words: string }> = {
  done: { tone: 'good', words: 'done' },
  pending: { tone: 'pending', words: 'pending' },
  lost: { tone: 'warn', words: 'host lost' },
  failed: { tone: 'bad', words: 'not done' },
  overtaken: { tone: 'calm', words: 'overtaken' },
  over: { tone: 'calm', words: 'over' },
};

/** What an entry is called, as a sentence without a verb for who did it. */
const ACTION_WORDS: Record<string, string> = {
  release: 'Release',
  'release-host': 'Release of a host',
  'release-fleet': 'Release of the fleet',
  exempt: 'Kept out of the tarpit',
  untarpit: 'Untarpit',
  tarpit: 'Tarpit',
  hold: 'Hold',
  unhold: 'Hold lifted',
  pin: 'Pin',
  unpin: 'Left to the policy',
  'remove-host': 'Host removed',
  brake: 'The brake holds',
  'brake-off': 'The brake let go',
  queue: 'Queue changed',
};

/** Outcomes named one by one; those that are not done come first. */
const MAX_ROWS = 200;
/** An act that has not written its parts down after this was cut off, milliseconds. */
const CUT_OFF_AFTER_MS = 60_000;

export function entryTitle({ fields }: Trace['entry']): string {
  const { action = 'unknown', host = FLEET, target, account } = fields;
  const words = ACTION_WORDS[action] ?? action;
  const whom = target ?? account;
  const where =
    host === FLEET
      ? action === 'pin' || action === 'unpin' || action === 'exempt'
        ? ''
        : ' everywhere'
      : ` on ${host}`;
  return `${words}${whom === undefined ? '' : `: ${whom}`}${where}`;
}

export function entryPage(view: EntryView): Html {
  const { entry } = view.trace;
  return html`${liveTitle(html`${entryTitle(entry)}`, html`${view.mayAct && undoLink(entry.fields)}`)}
${entryParts(view).map(place)}
<div class="buttons"><a class="button" href="/">To the fleet</a><a class="button quiet" href="/audit">To the audit</a></div>`;
}

/** What changes while the page is open. */
export function entryParts({ trace, nowMs }: EntryView): Part[] {
  const { entry, outcomes, missing } = trace;
  const { fields, atMs } = entry;
  return [
    part(
      'facts',
      html`<dl class="facts"><div><dt>Reason</dt><dd>${fields.reason || unknown('no reason given')}</dd></div><div><dt>By</dt><dd>${fields.by ?? unknown()}</dd></div><div><dt>When</dt><dd>${relativeTime(atMs, nowMs)}</dd></div></dl>`,
    ),
    part('verdict', verdict(outcomes, missing, nowMs - atMs)),
    outcomes.length > 0 ? outcomesPart(outcomes) : part('outcomes', null),
  ];
}

/** The sum of it, announced when it changes. */
function verdict(outcomes: readonly Outcome[], missing: number, ageMs: number): Html {
  const counts = tally(outcomes);
  const isOpen = counts.some(({ state }) => state === 'pending') || missing > 0;
  const badges = counts.map(
    ({ state, count }) =>
      html`<span class="badge ${OUTCOME_WORDS[state].tone}">${count} ${OUTCOME_WORDS[state].words}</span> `,
  );
  const words = isOpen
    ? 'Waiting for the workers’ word. This page follows by itself.'
    : counts.length === 0
      ? 'There is nothing that hosts would report of this.'
      : counts.every(({ state }) => state === 'done')
        ? 'Done: the workers say so.'
        : 'What is not done is said below.';
  const cut =
    ageMs > CUT_OFF_AFTER_MS
      ? `${missing} of its orders were never given: the admin or Redis stopped meanwhile. Do it again.`
      : `${missing} of its orders are still being given.`;
  return html`<p class="verdict" role="status">${badges}<span>${words}</span></p>${missing > 0 && html`<p class="warn">${cut}</p>`}`;
}

const RANK: Record<OutcomeState, number> = { failed: 0, pending: 1, lost: 2, overtaken: 3, over: 4, done: 5 };

function outcomesPart(outcomes: readonly Outcome[]): Part {
  const ranked = outcomes.toSorted((a, b) => RANK[a.state] - RANK[b.state]);
  const table: Table<Outcome> = {
    caption: 'What the workers say',
    columns: [
      { label: 'Host', kind: 'head', cell: ({ host }) => (host === FLEET ? 'every host' : hostText(host)) },
      { label: 'Target', cell: ({ target }) => (target === null ? 'all of it' : html`<code>${target}</code>`) },
      {
        label: 'Outcome',
        cell: ({ state, words }) =>
          html`<span class="badge ${OUTCOME_WORDS[state].tone}">${OUTCOME_WORDS[state].words}</span><small>${words}</small>`,
      },
      { label: 'Job', cell: (one) => jobCell(one) },
    ],
    rows: ranked.slice(0, MAX_ROWS),
    key: ({ host, target, version }) => `${host} ${target} ${version}`,
    empty: html``,
  };
  const below = html`${outcomes.length > MAX_ROWS && html`<p>and ${outcomes.length - MAX_ROWS} more, of which ${ranked.slice(MAX_ROWS).filter(({ state }) => state === 'done').length} are done.</p>`}`;
  return tablePart('outcomes', table, { below });
}

function jobCell({ host, target, version }: Outcome): Html {
  if (host === FLEET || target === null || version === null) return unknown('no job of its own');
  return html`<a href="${orderJobLink({ host, target, version })}" aria-label="Job of ${target} on ${host}">job</a>`;
}

/** The way back, where there is one. */
function undoLink({ action, host = FLEET, account, target }: Record<string, string>): Html | null {
  if (action === 'hold') return html`<a class="button" href="${unholdLink(host)}">Lift the hold</a>`;
  const whom = account ?? target;
  if ((action === 'exempt' || action === 'pin') && whom !== undefined)
    return html`<a class="button" href="${unexemptLink(whom)}">Leave ${whom} to the policy</a>`;
  if (action === 'unpin' && whom !== undefined)
    return html`<a class="button" href="${exemptLink(whom)}">Keep ${whom} out</a>`;
  if (action === 'untarpit' || action === 'release')
    return target === undefined
      ? null
      : html`<a class="button" href="${link('/tarpit', { host, target, account })}">Tarpit it again</a>`;
  if (action === 'tarpit' && target !== undefined)
    return html`<a class="button" href="${link('/release', { host, target })}">Release it</a>`;
  return null;
}

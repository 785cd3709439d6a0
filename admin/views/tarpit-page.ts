/**
 * Slowing by hand, and for longer: the form that says what, where, how much and how long, then the page that says what
 * will happen and asks why. Pure.
 */
import { formatDuration } from '../../shared/duration.ts';
import { FLEET, runRatio, type TarpitOrder } from '../../shared/order.ts';
import type { Pin } from '../../shared/redis/pins.ts';
import type { Session } from '../access/sessions.ts';
import { LEASES, LEVELS, USUAL_LEASE } from '../act/choices.ts';
import type { TarpitWish } from '../act/plan.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { actForm, asOrder, concerned, hidden, hostsConcerned, POLICY, whereOf } from './act-page.ts';
import { percent, relativeTime } from './format.ts';
import { type Html, html } from './html.ts';

export interface ExtendView {
  session: Session;
  standing: TarpitOrder;
  nowMs: number;
}

export function extendPage({ session, standing, nowMs }: ExtendView): Html {
  const { host, target, hobble, by, expiresAt } = standing;
  return actForm({
    session,
    action: '/extend',
    heading: `Extend ${target} ${whereOf(host)}`,
    effect: html`<p>It ends ${relativeTime(expiresAt, nowMs)} now. It goes on at the same ${cycleWords(hobble)}, ${host === FLEET ? 'on every host' : `on ${host}`}, and ends after the new time, counted from now.</p>${
      by === POLICY &&
      html`<p>The order is the policy’s and becomes yours: the policy neither renews nor ends it until then.</p>`
    }`,
    fields: html`${hidden('host', host)}${hidden('target', target)}${leaseField(USUAL_LEASE)}`,
    buttons: html`<button class="primary">Extend</button>`,
  });
}

function leaseField(value: string): Html {
  return html`<label for="for">For how long, at most 24h</label>
<input id="for" name="for" value="${value}" required maxlength="16" list="leases" autocomplete="off" autocapitalize="none">
<datalist id="leases">${LEASES.map((lease) => html`<option value="${lease}">`)}</datalist>`;
}

function cycleWords(hobble: { runMs: number; stopMs: number }): string {
  return `${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms (${percent(runRatio(hobble))} of the time)`;
}

/** What is known when the form is opened. */
export interface TarpitFormView {
  host: string;
  target: string;
  account: string;
  hosts: readonly string[];
}

/** The first step: what, where, how slow, how long. Asks nothing of Redis and changes nothing. */
export function tarpitFormPage({ host, target, account, hosts }: TarpitFormView): Html {
  return html`<section class="act"><h1>Tarpit by hand</h1>
<form method="get" action="/tarpit"><input type="hidden" name="step" value="look">
<label for="target">Target</label>
<input id="target" name="target" value="${target}" required maxlength="1024" placeholder="user:alice" autocomplete="off" autocapitalize="none" spellcheck="false"${target === '' && html` autofocus`} aria-describedby="target-help">
<small id="target-help"><code>user:NAME</code>, <code>uid:NUMBER</code>, <code>pid:PID@START</code> or <code>cgroup:/PATH</code></small>
<label for="host">Host, or * for every host</label>
<input id="host" name="host" value="${host}" required maxlength="253" list="hosts" autocomplete="off" autocapitalize="none" spellcheck="false">
<datalist id="hosts">${hosts.slice(0, 1_000).map((name) => html`<option value="${name}">`)}</datalist>
<label for="account">Account, if it is another than the target’s</label>
<input id="account" name="account" value="${account}" maxlength="256" autocomplete="off">
<label for="level">How much it may run</label>
<select id="level" name="level">${LEVELS.map(({ name, words, cycle }) => html`<option value="${name}">${words} (${cycle.runMs} of ${cycle.runMs + cycle.stopMs} ms)</option>`)}<option value="own">as set below</option></select>
<fieldset><legend>A duty cycle of your own</legend>
<label>Run phase, ms<input name="runMs" type="number" min="1" max="10000" value="10"></label>
<label>Stop phase, ms<input name="stopMs" type="number" min="1" max="10000" value="200"></label></fieldset>
<label for="mechanism">Mechanism</label><select id="mechanism" name="mechanism"><option value="auto">auto: the best that the host has</option><option>signal</option><option>freezer</option><option>quota</option></select>
${leaseField(USUAL_LEASE)}
<div class="buttons"><button class="primary">Show what will happen</button><a class="button quiet" href="/">Cancel</a></div>
</form></section>`;
}

export interface TarpitView {
  session: Session;
  wish: TarpitWish & { level: string };
  account: string | null;
  /** Where it is in the tarpit already. */
  rows: readonly TargetRow[];
  /** Those it is for. */
  hosts: readonly HostRow[];
  pin: Pin | null;
  nowMs: number;
}

/** The second step: what will happen, and why. */
export function tarpitPage({ session, wish, account, rows, hosts, pin, nowMs }: TarpitView): Html {
  const { host, target, hobble, forMs, level } = wish;
  const fields = {
    host,
    target,
    ...(account === null ? {} : { account }),
    level,
    runMs: String(hobble.runMs),
    stopMs: String(hobble.stopMs),
    mechanism: hobble.mechanism,
    for: `${forMs}ms`,
  };
  return actForm({
    session,
    action: '/tarpit',
    heading: `Tarpit ${target} ${whereOf(host)}`,
    effect: html`<p>All processes of ${target} ${host === FLEET ? 'on every host' : `on ${host}`}${account !== null && html` (account ${account})`} run ${cycleWords(hobble)} for ${formatDuration(forMs)}, by mechanism ${hobble.mechanism}. It ends by itself, ${relativeTime(nowMs + forMs, nowMs)}.</p>
<p>Each host decides by its own configuration whom it never stops; what it does not carry out is said on the next page.</p>
${hostsConcerned(hosts)}${rows.length > 0 && html`<p>In the tarpit already, and changed by this:</p>${concerned(rows.map(asOrder))}`}${
  pin?.kind === 'release' &&
  html`<p class="warn">${account} is kept out of the tarpit by ${pin.by}: ${pin.why || 'no reason given'}. That holds for the policy; your order is carried out all the same.</p>`
}`,
    fields: html`${Object.entries(fields).map(([name, value]) => hidden(name, value))}`,
    buttons: html`<button class="danger">Tarpit ${target}</button>`,
  });
}

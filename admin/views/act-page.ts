/**
 * The pages on which an operator says why, before anything happens: what will happen, to whom, a reason, one button. They
 * work without scripts, and Enter in the reason presses the first button. Pure; the routes decide who sees them.
 */
import { FLEET } from '../../shared/order.ts';
import type { Pin } from '../../shared/redis/pins.ts';
import type { Session } from '../access/sessions.ts';
import { KEEP_OUT, MAX_REASON_CHARS } from '../act/choices.ts';
import type { Plan, PlannedOrder } from '../act/plan.ts';
import { plural } from '../fleet/attention.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { relativeTime, timeLeft } from './format.ts';
import { type Html, html } from './html.ts';
import { csrfField } from './layout.ts';

/** Whom the producer's policy signs its orders as. */
export const POLICY = 'policy';
/** So many targets or hosts are named before anything happens; the result names all. */
const NAMED = 20;

interface ActForm {
  session: Session;
  action: `/${string}`;
  heading: string;
  /** What will happen, in words. */
  effect: Html;
  fields?: Html;
  buttons: Html;
}

export function actForm({ session, action, heading, effect, fields, buttons }: ActForm): Html {
  return html`<section class="act"><h1>${heading}</h1>
<div class="effect">${effect}</div>
<form method="post" action="${action}">${csrfField(session)}${fields}
<label for="reason">Reason, for the audit</label>
<input id="reason" name="reason" required maxlength="${MAX_REASON_CHARS}" autofocus autocomplete="off">
<div class="buttons">${buttons}<a class="button quiet" href="/">Cancel</a></div>
</form></section>`;
}

export const hidden = (name: string, value: string) => html`<input type="hidden" name="${name}" value="${value}">`;

/** Said in place of a form when there is nothing to do. */
export function nothingToDo(heading: string, words: Html): Html {
  return html`<section class="act"><h1>${heading}</h1><p>${words}</p><div class="buttons"><a class="button" href="/">Back to the fleet</a></div></section>`;
}

export const whereOf = (host: string) => (host === FLEET ? 'everywhere' : `on ${host}`);

/** What a plan is about, one by one up to a bound. */
export function concerned(orders: readonly PlannedOrder[]): Html {
  const line = ({ host, target, account, processes, liveness }: PlannedOrder) =>
    html`<li><code>${target}</code> ${host === FLEET ? 'on every host' : html`on ${host}`}${account !== null && account !== target && html` · ${account}`}${
      processes !== null && html` · ${processes} ${plural2(processes, 'process', 'processes')}`
    }${liveness !== null && liveness !== 'alive' && html` · <strong>the host is ${liveness}</strong>`}</li>`;
  return html`<ul class="concerned">${orders.slice(0, NAMED).map(line)}${orders.length > NAMED && html`<li>and ${orders.length - NAMED} more</li>`}</ul>`;
}

const plural2 = (count: number, one: string, many: string) => (count === 1 ? one : many);

/** Whether the policy is kept from taking the accounts back, and for how long. */
function keepOutField(accounts: readonly string[], usual: string): Html {
  if (accounts.length === 0) return hidden('keep', 'no');
  const [first] = accounts;
  const whom = accounts.length === 1 ? `Keep ${first} out of the tarpit` : `Keep these ${accounts.length} accounts out`;
  return html`<label for="keep">${whom}, on every host</label>
<select id="keep" name="keep">${KEEP_OUT.map(({ value, words }) => html`<option value="${value}"${value === usual && html` selected`}>${words}</option>`)}</select>`;
}

function pinWords(account: string, pin: Pin | null, nowMs: number): Html | null {
  if (pin === null) return null;
  const until = pin.untilMs === null ? html`until that is lifted` : html`for another ${timeLeft(pin.untilMs, nowMs)}`;
  return html`<p class="warn">${account} is ${pin.kind === 'release' ? 'kept out of' : 'kept in'} the tarpit ${until}, by ${pin.by}: ${pin.why || 'no reason given'}. What you set here takes its place.</p>`;
}

export interface ReleaseView {
  session: Session;
  /** `*` for everywhere. */
  host: string;
  target: string;
  /** What the fleet page shows of it; null when nothing is known of it any more. */
  row: TargetRow | null;
  /** Everywhere it is reported or asked for. */
  rows: readonly TargetRow[];
  account: string | null;
  pin: Pin | null;
  nowMs: number;
}

export function releasePage({ session, host, target, row, rows, account, pin, nowMs }: ReleaseView): Html {
  const isEverywhere = host === FLEET;
  const isFleetOrder = !isEverywhere && row !== null && row.scope !== 'host';
  const everywhere = html`<button name="host" value="*" class="primary">Release everywhere</button>`;
  const here = html`<button name="host" value="${host}" class="${isFleetOrder ? '' : 'primary'}">Release on ${host} only</button>`;
  return actForm({
    session,
    action: '/release',
    heading: `Release ${target} ${whereOf(host)}`,
    effect: html`${isEverywhere ? everywhereEffect(rows) : releaseEffect(row)}${isFleetOrder && fleetOrderWords(host, row)}${row && policyWords(row)}${
      account !== null && pinWords(account, pin, nowMs)
    }`,
    fields: html`${hidden('target', target)}${keepOutField(account === null ? [] : [account], '24h')}`,
    buttons: isEverywhere ? everywhere : isFleetOrder ? html`${everywhere}${here}` : here,
  });
}

function everywhereEffect(rows: readonly TargetRow[]): Html {
  const reported =
    rows.length === 0
      ? html`<p>No host reports it now.</p>`
      : html`<p>Reported now:</p>${concerned(rows.map(asOrder))}`;
  return html`<p>An untarpit for the whole fleet: every host lets it go, also hosts that come later.</p>${reported}`;
}

export function asOrder({ host, target, account, report, liveness }: TargetRow): PlannedOrder {
  return { action: 'untarpit', host, target, account, processes: report?.processes ?? null, liveness };
}

function releaseEffect(row: TargetRow | null): Html {
  if (row === null)
    return html`<p>Nothing is reported of this target here now. The untarpit is written all the same, and overtakes any older order.</p>`;
  const count = row.report?.processes ?? 0;
  const whose = row.account === null ? '' : ` of account ${row.account}`;
  const slowed =
    count === 0
      ? `No process${whose} is slowed now.`
      : count === 1
        ? `One process${whose} is slowed.`
        : `${count} processes${whose} are slowed.`;
  return html`<p>${slowed} An untarpit lets everything of this target run freely, usually within a second. The next page follows it until the host reports that it is done.</p>${
    row.liveness === 'lost' &&
    html`<p class="warn">The host is lost. It carries the release out when it is back, or its order expires there.</p>`
  }`;
}

function fleetOrderWords(host: string, { scope, order }: TargetRow): Html {
  const certain =
    scope === 'fleet'
      ? 'It stands under an order for the whole fleet.'
      : 'It may stand under an order for the whole fleet.';
  const others =
    order?.by === POLICY
      ? 'The policy cannot renew an order for all hosts but one, so on the others it runs out with the time that is left.'
      : 'The other hosts stay as they are.';
  return html`<p>${certain} <strong>Everywhere</strong> ends that order on all hosts. <strong>On ${host} only</strong> lets it go here. ${others}</p>`;
}

function policyWords({ report, order }: TargetRow): Html | null {
  if ((report ?? order)?.by !== POLICY) return null;
  return html`<p>The policy put it here. Kept out, the account is left alone by it for that long; otherwise it leaves it free until it comes to a new verdict, in the next window for instance.</p>`;
}

export function releaseHostPage(session: Session, host: HostRow, plan: Plan): Html {
  const count = plan.orders.length;
  if (count === 0) {
    return nothingToDo(
      `Nothing to release on ${host.host}`,
      html`It has no target in the tarpit that is not being released already. To keep it so, hold the host.`,
    );
  }
  return actForm({
    session,
    action: '/release-host',
    heading: `Release everything on ${host.host}`,
    effect: html`<p>An untarpit on ${host.host} for each of these ${count} ${plural(count, 'target')}. Orders for the whole fleet go on elsewhere, and new orders may come; to keep the host free, <a href="/hold?host=${encodeURIComponent(host.host)}">hold it</a> instead.</p>
${host.liveness !== 'alive' && html`<p class="warn">The host is ${host.liveness}. It does so when it answers again; its guard lets everything go when its worker dies.</p>`}${concerned(plan.orders)}`,
    fields: html`${hidden('host', host.host)}${keepOutField(plan.accounts, 'no')}`,
    buttons: html`<button class="primary">Release ${count} ${plural(count, 'target')}</button>`,
  });
}

export function releaseFleetPage(session: Session, plan: Plan, hosts: number): Html {
  const count = plan.orders.length;
  if (count === 0)
    return nothingToDo(
      'Nothing to release',
      html`Nobody is in the tarpit. To keep it so, <a href="/hold">hold the fleet</a>.`,
    );
  return actForm({
    session,
    action: '/release-fleet',
    heading: 'Release the whole fleet',
    effect: html`<p>${count} ${plural(count, 'untarpit')}, on ${hosts} ${plural(hosts, 'host')}: everything that is in the tarpit now runs freely, and its orders end. ${
      plan.wakesFleet
        ? 'That takes seconds.'
        : 'So many orders for the whole fleet are found by the hosts themselves, within ten seconds.'
    } New orders may come. To let everything go at this instant and keep it so, <a href="/hold">hold the fleet</a>: that keeps the orders.</p>${concerned(plan.orders)}`,
    fields: keepOutField(plan.accounts, 'no'),
    buttons: html`<button class="danger">Release ${count} ${plural(count, 'target')}</button>`,
  });
}

export interface ExemptView {
  session: Session;
  account: string;
  plan: Plan;
  pin: Pin | null;
  nowMs: number;
}

export function exemptPage({ session, account, plan, pin, nowMs }: ExemptView): Html {
  const count = plan.orders.length;
  return actForm({
    session,
    action: '/exempt',
    heading: `Keep ${account} out of the tarpit`,
    effect: html`<p>The policy puts ${account} in nowhere for that long, whatever it uses. Orders by hand are not hindered by it.</p>
${count === 0 ? html`<p>Nothing of ${account} is in the tarpit now.</p>` : html`<p>And ${count} ${plural(count, 'target')} of it ${count === 1 ? 'is' : 'are'} let go now:</p>${concerned(plan.orders)}`}${pinWords(account, pin, nowMs)}`,
    fields: html`${hidden('account', account)}<label for="keep">For how long</label>
<select id="keep" name="keep">${KEEP_OUT.filter(({ keepOut }) => keepOut !== null).map(({ value, words }) => html`<option value="${value}"${value === '24h' && html` selected`}>${words}</option>`)}</select>`,
    buttons: html`<button class="primary">Keep ${account} out</button>${pin !== null && html`<a class="button" href="/unexempt?account=${encodeURIComponent(account)}">Leave it to the policy</a>`}`,
  });
}

export function unexemptPage(session: Session, account: string, pin: Pin | null, nowMs: number): Html {
  if (pin === null) return nothingToDo(`${account} is not pinned`, html`The policy decides on it already.`);
  return actForm({
    session,
    action: '/unexempt',
    heading: `Leave ${account} to the policy`,
    effect: html`${pinWords(account, pin, nowMs)}<p>That ends. At its next reading the policy judges ${account} by its limits again.</p>`,
    fields: hidden('account', account),
    buttons: html`<button class="primary">Leave it to the policy</button>`,
  });
}

/** `host` `*`: the fleet. `hosts`: those concerned. */
export function holdPage(session: Session, host: string, hosts: readonly HostRow[]): Html {
  const where = host === FLEET ? 'the whole fleet' : host;
  return actForm({
    session,
    action: '/hold',
    heading: `Hold ${where}`,
    effect: html`<p>Everything that is hobbled ${host === FLEET ? 'on every host' : `on ${host}`} runs freely within a second, and nothing is slowed again until the hold is lifted. Orders stay as they are. A hold survives restarts.</p>${hostsConcerned(hosts)}`,
    fields: hidden('host', host),
    buttons: html`<button class="danger">Hold ${where}</button>`,
  });
}

export function unholdPage(session: Session, host: string, hosts: readonly HostRow[]): Html {
  const where = host === FLEET ? 'the whole fleet' : host;
  return actForm({
    session,
    action: '/unhold',
    heading: `Lift the hold of ${where}`,
    effect: html`<p>The orders that still stand are carried out again at once. Accounts that are over their limits become slow.</p>${hostsConcerned(hosts)}`,
    fields: hidden('host', host),
    buttons: html`<button class="primary">Lift the hold</button>`,
  });
}

export function hostsConcerned(hosts: readonly HostRow[]): Html {
  if (hosts.length === 0)
    return html`<p class="warn">No worker has reported under that name yet. It finds the hold when it starts.</p>`;
  const targets = hosts.reduce((sum, host) => sum + host.targets, 0);
  const silent = hosts.filter(({ liveness }) => liveness !== 'alive');
  return html`<p>Concerned: ${hosts.length} ${plural(hosts.length, 'host')} with ${targets} ${plural(targets, 'target')}.</p>${
    silent.length > 0 &&
    html`<p class="warn">Not answering now: ${silent.slice(0, NAMED).map(({ host, liveness }, index) => html`${index > 0 && ', '}${host} (${liveness})`)}${silent.length > NAMED && ` and ${silent.length - NAMED} more`}.</p>`
  }`;
}

export function removeHostPage(session: Session, { host, liveness, status, targets }: HostRow, nowMs: number): Html {
  if (liveness !== 'lost') {
    return nothingToDo(
      `${host} still beats`,
      html`Only a host that is lost can be removed: this one would come back by itself. Stop its worker first: <code>systemctl disable --now hobbler-worker</code>, then wait 30 s.`,
    );
  }
  return actForm({
    session,
    action: '/remove-host',
    heading: `Remove ${host} from the fleet`,
    effect: html`<p>For a host that is gone for good. ${status === null ? 'It never beat.' : html`Its last beat was ${relativeTime(status.beatAtMs, nowMs)}.`} Its name, what it reported (${targets} ${plural(targets, 'target')}), its orders, its hold and its queue are deleted; its audit stays. If its worker starts again, it comes back as a new host, without the orders that stood.</p>`,
    fields: hidden('host', host),
    buttons: html`<button class="danger">Remove ${host}</button>`,
  });
}

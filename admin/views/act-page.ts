/**
 * The pages on which an operator says why, before anything happens: what will happen, a reason, one button. They work
 * without scripts, and Enter in the reason presses the first button. Pure; the routes decide who sees them.
 */
import type { Session } from '../access/sessions.ts';
import { plural } from '../fleet/attention.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { type Html, html } from './html.ts';
import { csrfField } from './layout.ts';

export const MAX_REASON_CHARS = 500;
/** Whom the producer's policy signs its orders as. */
const POLICY = 'policy';

interface ActForm {
  session: Session;
  action: '/release' | '/release-host' | '/hold' | '/unhold';
  heading: string;
  /** What will happen, in words. */
  effect: Html;
  fields?: Html;
  buttons: Html;
}

function actForm({ session, action, heading, effect, fields, buttons }: ActForm): Html {
  return html`<section class="act"><h1>${heading}</h1>
<div class="effect">${effect}</div>
<form method="post" action="${action}">${csrfField(session)}${fields}
<label for="reason">Reason, for the audit</label>
<input id="reason" name="reason" required maxlength="${MAX_REASON_CHARS}" autofocus autocomplete="off">
<div class="buttons">${buttons}<a class="button quiet" href="/">Cancel</a></div>
</form></section>`;
}

export interface ReleaseView {
  session: Session;
  /** `*` for everywhere. */
  host: string;
  target: string;
  /** What the fleet page shows of it; null when nothing is known of it any more. */
  row: TargetRow | null;
}

export function releasePage({ session, host, target, row }: ReleaseView): Html {
  const isEverywhere = host === '*';
  const isFleetOrder = !isEverywhere && row !== null && row.scope !== 'host';
  const everywhere = html`<button name="host" value="*" class="primary">Release everywhere</button>`;
  const here = html`<button name="host" value="${host}" class="${isFleetOrder ? '' : 'primary'}">Release on ${host} only</button>`;
  return actForm({
    session,
    action: '/release',
    heading: isEverywhere ? `Release ${target} everywhere` : `Release ${target} on ${host}`,
    effect: html`${releaseEffect(isEverywhere, row)}${isFleetOrder && fleetOrderWords(host, row)}${row && policyWords(row)}`,
    fields: html`<input type="hidden" name="target" value="${target}">`,
    buttons: isEverywhere ? everywhere : isFleetOrder ? html`${everywhere}${here}` : here,
  });
}

function releaseEffect(isEverywhere: boolean, row: TargetRow | null): Html {
  if (isEverywhere)
    return html`<p>An untarpit for the whole fleet: every host lets it go, also hosts that come later.</p>`;
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
  return html`<p>${slowed} An untarpit lets everything of this target run freely, usually within a second. The fleet page shows it as pending until the host reports that it is done.</p>${
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
  return html`<p>The policy put it here. After a release by hand it leaves it free until it comes to a new verdict, in the next window for instance.</p>`;
}

export function releaseHostPage(session: Session, host: HostRow, targets: readonly TargetRow[]): Html {
  if (targets.length === 0) {
    return html`<section class="act"><h1>Nothing to release on ${host.host}</h1><p>It has no target in the tarpit that is not being released already. To keep it so, hold the host.</p><div class="buttons"><a class="button" href="/">Back to the fleet</a></div></section>`;
  }
  const named = targets.slice(0, 20).map((row) => html`<li><code>${row.target}</code> ${row.account}</li>`);
  return actForm({
    session,
    action: '/release-host',
    heading: `Release everything on ${host.host}`,
    effect: html`<p>An untarpit on ${host.host} for each of these ${targets.length} ${plural(targets.length, 'target')}. Orders for the whole fleet go on elsewhere, and new orders may come; to keep the host free, hold it instead.</p>
<ul>${named}${targets.length > named.length && html`<li>and ${targets.length - named.length} more</li>`}</ul>`,
    fields: html`<input type="hidden" name="host" value="${host.host}">`,
    buttons: html`<button class="primary">Release ${targets.length} ${plural(targets.length, 'target')}</button>`,
  });
}

/** `host` `*`: the fleet. */
export function holdPage(session: Session, host: string): Html {
  const where = host === '*' ? 'the whole fleet' : host;
  return actForm({
    session,
    action: '/hold',
    heading: `Hold ${where}`,
    effect: html`<p>Everything that is hobbled ${host === '*' ? 'on every host' : `on ${host}`} runs freely within a second, and nothing is slowed again until the hold is lifted. Orders stay as they are. A hold survives restarts.</p>`,
    fields: html`<input type="hidden" name="host" value="${host}">`,
    buttons: html`<button class="danger">Hold ${where}</button>`,
  });
}

export function unholdPage(session: Session, host: string): Html {
  const where = host === '*' ? 'the whole fleet' : host;
  return actForm({
    session,
    action: '/unhold',
    heading: `Lift the hold of ${where}`,
    effect: html`<p>The orders that still stand are carried out again at once. Accounts that are over their limits become slow.</p>`,
    fields: html`<input type="hidden" name="host" value="${host}">`,
    buttons: html`<button class="primary">Lift the hold</button>`,
  });
}

/**
 * What an operator can do from a row or a page: links to the pages that say what will happen and ask why. A viewer gets
 * none; the server would refuse him anyway.
 */
import {
  extendLink,
  holdLink,
  releaseFleetLink,
  releaseHostLink,
  releaseLink,
  removeHostLink,
  tarpitLink,
  unholdLink,
} from '../act/links.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { type Html, html } from './html.ts';

/** Of one target on one host. */
export function targetActs({ host, target, releasing, order }: TargetRow): Html {
  if (releasing) return html`<span class="unknown">pending</span>`;
  const extend =
    order?.action === 'tarpit' &&
    html`<a class="button quiet" href="${extendLink(host, target)}" aria-label="Extend ${target} on ${host}">Extend</a>`;
  return html`<div class="acts">${extend}<a class="button" href="${releaseLink(host, target)}" aria-label="Release ${target} on ${host}">Release</a></div>`;
}

/** Of an order for the whole fleet. */
export function fleetOrderActs(target: string): Html {
  return html`<a class="button" href="${releaseLink('*', target)}" aria-label="Release ${target} everywhere">Release everywhere</a>`;
}

/** Of one host. One that is lost can be removed. */
export function hostActs({ host, hold, targets, liveness }: HostRow): Html {
  const act = (href: string, words: string, kind = '') =>
    html`<a class="button ${kind}" href="${href}" aria-label="${words}: ${host}">${words}</a>`;
  return html`<div class="acts">${liveness === 'lost' && act(removeHostLink(host), 'Remove', 'quiet')}${targets > 0 && act(releaseHostLink(host), 'Release all')}${hold ? act(unholdLink(host), 'Lift hold') : act(holdLink(host), 'Hold')}</div>`;
}

/** Of the whole fleet. */
export function fleetActs({ hold, targets }: { hold: unknown; targets: readonly unknown[] }): Html {
  return html`<a class="button quiet" href="${tarpitLink()}">Tarpit by hand</a>${
    targets.length > 0 && html`<a class="button" href="${releaseFleetLink()}">Release the fleet</a>`
  }${
    hold
      ? html`<a class="button" href="${unholdLink()}">Lift the fleet’s hold</a>`
      : html`<a class="button danger" href="${holdLink()}">Hold the fleet</a>`
  }`;
}

/**
 * What an operator can do from a row or a page: links to the pages that say what will happen and ask why. A viewer gets
 * none; the server would refuse him anyway.
 */
import { holdLink, releaseHostLink, releaseLink, unholdLink } from '../act/links.ts';
import type { HostRow, TargetRow } from '../fleet/model.ts';
import { type Html, html } from './html.ts';

/** Of one target on one host. */
export function targetActs({ host, target, releasing }: TargetRow): Html {
  if (releasing) return html`<span class="unknown">pending</span>`;
  return html`<a class="button" href="${releaseLink(host, target)}" aria-label="Release ${target} on ${host}">Release</a>`;
}

/** Of an order for the whole fleet. */
export function fleetOrderActs(target: string): Html {
  return html`<a class="button" href="${releaseLink('*', target)}" aria-label="Release ${target} everywhere">Release everywhere</a>`;
}

/** Of one host. */
export function hostActs({ host, hold, targets }: HostRow): Html {
  const act = (href: string, words: string) =>
    html`<a class="button" href="${href}" aria-label="${words}: ${host}">${words}</a>`;
  return html`<div class="acts">${targets > 0 && act(releaseHostLink(host), 'Release all')}${hold ? act(unholdLink(host), 'Lift hold') : act(holdLink(host), 'Hold')}</div>`;
}

/** Of the whole fleet. */
export function fleetActs({ hold }: { hold: unknown }): Html {
  return hold
    ? html`<a class="button" href="${unholdLink()}">Lift the fleet’s hold</a>`
    : html`<a class="button danger" href="${holdLink()}">Hold the fleet</a>`;
}

/** What one chooses by on the fleet page: search, filter, sorting. They work without scripts. Pure. */
import {
  type HostFilter,
  hostFilters,
  hostSorts,
  type TargetFilter,
  targetFilters,
  targetSorts,
  type Wanted,
} from '../fleet/selection.ts';
import { type Html, html } from './html.ts';
import { fleetPath, fleetQueryOf, sortText } from './paths.ts';

export function targetForm(wanted: Wanted): Html {
  const { query, sort } = wanted;
  return html`<form class="search" method="get" action="/" role="search" aria-label="Targets"><label class="sr" for="q">Search targets</label><input id="q" name="q" type="search" value="${query}" placeholder="account, host, state, reason" maxlength="200">${choice('sort', 'Sort targets by', sortText(sort), bothWays(targetSorts))}${kept(wanted, ['q', 'sort', 'page'])}<button class="quiet">Search</button>${query !== '' && html` <a href="${fleetPath(wanted, { query: '', page: 1 })}">show all</a>`}</form>`;
}

export function hostForm(wanted: Wanted): Html {
  const { hostQuery, hostFilter, hostSort } = wanted;
  return html`<form class="search" method="get" action="/" role="search" aria-label="Hosts"><label class="sr" for="hq">Search hosts</label><input id="hq" name="hq" type="search" value="${hostQuery}" placeholder="host, version" maxlength="200"><label class="sr" for="hstate">Show hosts that are</label><select id="hstate" name="hstate">${hostFilters.map((filter) => option(filter, hostFilter, HOST_WORDS[filter]))}</select>${choice('hsort', 'Sort hosts by', sortText(hostSort), bothWays(hostSorts))}${kept(wanted, ['hq', 'hstate', 'hsort', 'hosts'])}<button class="quiet">Search</button></form>`;
}

const HOST_WORDS: Record<HostFilter, string> = {
  all: 'all hosts',
  alive: 'alive',
  late: 'late',
  lost: 'lost',
  held: 'held',
};

const FILTER_TONES: Partial<Record<TargetFilter, string>> = { trouble: 'bad', pending: 'warn' };

/** Links that narrow the targets down, with how many each leaves; those that would leave none are not offered. */
export function filterChips(wanted: Wanted, counts: Record<TargetFilter, number>, all: number): Html {
  const shown = targetFilters.filter((filter) => filter === 'all' || counts[filter] > 0 || filter === wanted.filter);
  return html`<nav class="filters" aria-label="Filter targets">${shown.map((filter) => {
    const current = filter === wanted.filter && html` aria-current="true"`;
    return html`<a href="${fleetPath(wanted, { filter, page: 1 })}" class="${FILTER_TONES[filter] ?? ''}"${current}>${filter} <b>${counts[filter]}</b></a>`;
  })}${wanted.query !== '' && html`<span>${counts.all} of ${all} match “${wanted.query}”</span>`}</nav>`;
}

/** Where headers cannot be seen, on a phone, tables are sorted by a list. */
function choice(name: string, label: string, chosen: string, options: readonly (readonly [string, string])[]): Html {
  return html`<label class="sr" for="${name}">${label}</label><select id="${name}" name="${name}" class="narrow">${options.map(([value, words]) => option(value, chosen, words))}</select>`;
}

function option(value: string, chosen: string, words: string): Html {
  return html`<option value="${value}"${value === chosen && html` selected`}>${words}</option>`;
}

function bothWays(keys: readonly string[]): (readonly [string, string])[] {
  return keys.flatMap((key) => [[key, `by ${key}`] as const, [`-${key}`, `by ${key}, reversed`] as const]);
}

/** What the other table shows stays as it is. */
function kept(wanted: Wanted, own: readonly string[]): Html {
  const rest = Object.entries(fleetQueryOf(wanted)).filter(
    ([name, value]) => value !== undefined && !own.includes(name),
  );
  return html`${rest.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}`;
}

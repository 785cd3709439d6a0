/** What every live page has: its heading with the switch that pauses it, and what it says when Redis is away. Pure. */
import type { FleetAnswer } from '../fleet/source.ts';
import { relativeTime } from './format.ts';
import { type Html, html } from './html.ts';

/** The heading; the script shows the switch, since without it there is nothing to pause. */
export function liveTitle(heading: Html, acts: Html): Html {
  return html`<p id="stale" class="banner bad" role="alert" hidden>The admin does not answer. What you see may be old.</p>
<div class="title"><h1>${heading}</h1><div class="acts"><button type="button" id="live-switch" class="quiet" hidden>Pause refresh</button>${acts}</div></div>`;
}

export function redisAway({ why, last }: Extract<FleetAnswer, { redis: 'away' }>): Html {
  // The age stands outside of what is an alert: that would be read out again each second.
  const seen = last
    ? html`This is what was seen ${relativeTime(last.fleet.nowMs - last.ageMs, last.fleet.nowMs)}.`
    : 'Nothing was seen of the fleet yet.';
  return html`<div class="banner bad"><p role="alert"><strong>Redis is away</strong> (${why}). Orders cannot be given from here.</p>
<p>${seen} Hosts go on under their own locks and orders expire by themselves. To let go of everything on a host without Redis, run there: <code>hobbler release-all</code>. This page comes back by itself.</p></div>`;
}

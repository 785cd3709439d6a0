/**
 * The page of an account for the person it belongs to, as PythonAnywhere's tarpit page was: am I slow, why, what have I
 * used, when does it end. Pure; made of the same as the JSON. No scripts, nothing from elsewhere, one style that is named
 * by its digest; it looks anew each minute.
 */
import { createHash } from 'node:crypto';
import { type Html, html } from '../../shared/html.ts';
import { runRatio } from '../../shared/order.ts';
import type { AccountPage, LimitPage, VerdictPage } from '../account-page.ts';
import { clockTime, lengthOf, percent, quantity } from '../words.ts';

const REFRESH_S = 60;
const MINUTE_MS = 60_000;

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.slow { border-left: 0.4rem solid #c2410c; padding-left: 1rem; }
.free { border-left: 0.4rem solid #15803d; padding-left: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.4rem 1rem 0.4rem 0; border-bottom: 1px solid #8888; vertical-align: top; }
meter { width: 8rem; }
footer { margin-top: 2rem; font-size: 0.85rem; }
`;
/** Nothing but that style; and the page may be shown in frames of the site that it belongs to, if that site passes it on. */
export const ACCOUNT_PAGE_CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;

/** `zone`: in which times are told. */
export function renderAccount(page: AccountPage, zone: string, nowMs: number): string {
  const { account, isSlowed, summary, verdicts, unreadable } = page;
  const told: Told = { zone, nowMs };
  const isOne = verdicts.length === 1;
  const document = html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}">
<title>${account}: ${isSlowed ? 'slowed down' : 'not slowed down'}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<div class="${isSlowed ? 'slow' : 'free'}">
<h1>${account} is ${isSlowed ? 'slowed down' : 'not slowed down'}</h1>
<p>${summary}</p>
</div>
${verdicts.map((verdict) => renderVerdict(verdict, isOne, told))}
${unreadable.length > 0 && html`<p>Records that cannot be read, and so count for nothing: ${unreadable.length}.</p>`}
</main>
<footer>As of <time datetime="${new Date(nowMs).toISOString()}">${clockTime(nowMs, nowMs, zone)}</time>. This page looks anew every minute.</footer>
</body>
</html>
`;
  return `<!doctype html>\n${document}`;
}

interface Told {
  zone: string;
  nowMs: number;
}

function renderVerdict(verdict: VerdictPage, isOne: boolean, told: Told): Html {
  const { subject, level, since, until, overruledBy, details, limits } = verdict;
  return html`
${!isOne && html`<h2>${subject === 'account' ? 'The account as a whole' : subject}</h2>`}
${
  level &&
  overruledBy === null &&
  html`<p>Programs run ${level.runMs} ms of every ${level.runMs + level.stopMs} ms (${percent(rounded(runRatio(level), 1_000))} of the time). Nothing is lost: they go on from where they are, only slower.</p>
<p>Since ${moment(since, told)}. ${until === null ? 'No end is known yet.' : html`It ends ${moment(until, told)}${inTime(until, told)}, if nothing more is used.`}</p>`
}
${overruledBy !== null && html`<p>Released by ${overruledBy}.</p>`}
${limits.length > 0 && renderLimits(limits, told)}
<h2>In detail</h2>
<ul>${details.map((line) => html`<li>${line}</li>`)}</ul>`;
}

function renderLimits(limits: readonly LimitPage[], told: Told): Html {
  return html`<table>
<thead><tr><th scope="col">Limit</th><th scope="col">Used</th><th scope="col">Of</th><th scope="col"></th><th scope="col">Begins anew</th></tr></thead>
<tbody>${limits.map((limit) => renderLimit(limit, told))}</tbody>
</table>`;
}

function renderLimit({ name, resource, used, limit, unit, resetsAt }: LimitPage, told: Told): Html {
  const of = quantity(limit, unit);
  // What is not known is no empty bar (invariant 9).
  const bar =
    used !== null &&
    html`<meter min="0" max="${limit}" low="${limit * 0.75}" high="${limit * 0.99}" optimum="0" value="${Math.min(used, limit)}" aria-label="${resource || name}">${percent(rounded(used / limit, 100))}</meter>`;
  return html`<tr><th scope="row">${name.startsWith('*') ? resource || 'used' : `${name}${resource ? ` (${resource})` : ''}`}</th><td>${used === null ? 'not known' : quantity(used, unit)}</td><td>${of}</td><td>${bar}</td><td>${resetsAt === null ? '' : moment(resetsAt, told)}</td></tr>`;
}

function moment(iso: string | null, { zone, nowMs }: Told): Html {
  return iso === null
    ? html`a time that is not known`
    : html`<time datetime="${iso}">${clockTime(Date.parse(iso), nowMs, zone)}</time>`;
}

/** To a part of so many. */
function rounded(ratio: number, parts: number): number {
  return Math.round(ratio * parts) / parts;
}

/** ` (in 3h20m)`; nothing for what is due. */
function inTime(iso: string, { nowMs }: Told): string {
  const restMs = Math.ceil((Date.parse(iso) - nowMs) / MINUTE_MS) * MINUTE_MS;
  return restMs > 0 ? ` (in ${lengthOf(restMs)})` : '';
}

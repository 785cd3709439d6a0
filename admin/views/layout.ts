/**
 * The frame of every page: head, navigation, who is logged in. Knows no hobbler data. All
 * styles and scripts are files of our own (the CSP allows nothing else), named with their hash so that browsers keep them.
 */
import type { Session } from '../access/sessions.ts';
import { ASSETS } from '../static/assets.ts';
import { type Html, html } from './html.ts';

export type Section = 'fleet' | 'queues' | 'audit';

export interface Page {
  title: string;
  body: Html;
  session: Session | null;
  section?: Section;
  /** The page keeps itself true: by a stream of events, without scripts by loading itself anew every 10 s. */
  live?: Live;
}

export interface Live {
  /** Where its events come from. */
  href: string;
  /** What it shows now, in short, so that it is not sent the same again. */
  digest: string;
  /** By Redis's clock, for relative times. */
  nowMs: number;
}

const STYLES = ['base.css', 'tables.css', 'forms.css', 'acts.css', 'pages.css'] as const;

/** Without scripts a page reloads whole, so less often. */
const RELOAD_EVERY_S = 10;

export function layout({ title, body, session, section, live }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} · hobbler</title>
<link rel="icon" type="image/svg+xml" href="${ASSETS['icon.svg'].path}">
${STYLES.map((name) => html`<link rel="stylesheet" href="${ASSETS[name].path}">`)}
${
  live &&
  html`<noscript><meta http-equiv="refresh" content="${RELOAD_EVERY_S}"></noscript>
<script type="module" src="${ASSETS['live.js'].path}"></script>`
}
</head>
<body>
<a class="skip" href="#main">Skip to the page</a>
${session && navigation(session, section)}
<main id="main" tabindex="-1"${live && html` data-events="${live.href}" data-digest="${live.digest}" data-now="${live.nowMs}"`}>
${body}
</main>
</body>
</html>
`.toString();
}

/** The bar above every page, and above the queue board. */
export function navigation(session: Session, section: Section | undefined): Html {
  const item = (name: Section, href: string, words: string) =>
    html`<li><a href="${href}"${section === name && html` aria-current="page"`}>${words}</a></li>`;
  return html`<header class="top">
<a class="brand" href="/"><img src="${ASSETS['icon.svg'].path}" alt="" width="22" height="22">hobbler</a>
<nav aria-label="Pages"><ul>${item('fleet', '/', 'Fleet')}${item('queues', '/queues/', 'Queues')}${item('audit', '/audit', 'Audit')}</ul></nav>
<form class="who" method="post" action="/logout"><span>${session.user} <span class="role">${session.role}</span></span>${csrfField(session)}<button class="quiet">Log out</button></form>
</header>`;
}

/** Stands in every form of ours; the gate refuses a form without it. */
export function csrfField(session: Session): Html {
  return html`<input type="hidden" name="csrf" value="${session.csrf}">`;
}

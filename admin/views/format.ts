/**
 * How numbers and times look on the pages. Pure; an unknown is a dash with the word behind it, never a zero. A time says
 * by `data-in` in which words it is told, so that the open page can go on telling it (static/live.js).
 */
import { formatDuration } from '../../shared/duration.ts';
import { type Html, html } from './html.ts';

/** Times outside of what Date can say come from broken records; they must not break a page. */
const MAX_DATE_MS = 8.64e15;

/** `12s ago` or `in 4m 10s`, with the exact time on hover and for machines. */
export function relativeTime(atMs: number, nowMs: number): Html {
  const exact = exactTime(atMs);
  if (exact === null) return unknown('time unknown');
  const awayMs = atMs - nowMs;
  const words =
    Math.abs(awayMs) < 1000 ? 'now' : awayMs < 0 ? `${formatDuration(-awayMs)} ago` : `in ${formatDuration(awayMs)}`;
  return html`<time datetime="${exact.iso}" title="${exact.words}" data-in="away">${words}</time>`;
}

/** `4m 10s`, the time from one moment to the other, with the far end on hover; `over` once it has passed. */
export function timeLeft(untilMs: number, nowMs: number): Html {
  const exact = exactTime(untilMs);
  if (exact === null) return unknown('time unknown');
  const words = untilMs > nowMs ? formatDuration(untilMs - nowMs) : 'over';
  return html`<time datetime="${exact.iso}" title="until ${exact.words}" data-in="left">${words}</time>`;
}

/** `12s`, how long ago, with the moment on hover. */
export function timeSince(atMs: number, nowMs: number): Html {
  const exact = exactTime(atMs);
  if (exact === null) return unknown('time unknown');
  return html`<time datetime="${exact.iso}" title="since ${exact.words}" data-in="since">${formatDuration(nowMs - atMs)}</time>`;
}

export function exactTime(atMs: number): { iso: string; words: string } | null {
  if (!(atMs > 0 && atMs <= MAX_DATE_MS)) return null;
  const iso = new Date(atMs).toISOString();
  return { iso, words: `${iso.slice(0, 19).replace('T', ' ')} UTC` };
}

/** A share of one core as a percentage: `4.8 %`, `98 %`. */
export function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

export function bytes(count: number): string {
  const mebibytes = count / 1024 / 1024;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** A dash for the eye, the word for a screen reader and on hover. */
export function unknown(why = 'unknown'): Html {
  return html`<span class="unknown" title="${why}"><span aria-hidden="true">–</span><span class="sr">${why}</span></span>`;
}

/** The value formatted, or the dash. */
export function known(value: number | null | undefined, format: (value: number) => string, why = 'unknown'): Html {
  return value === null || value === undefined || !Number.isFinite(value) ? unknown(why) : html`${format(value)}`;
}

/** Labels up to here stay whole; a longer one may break anywhere. */
const MAX_WHOLE_CHARS = 20;

/** A host's name, which breaks at its dots where there is no room for it, and not at its hyphens. */
export function hostText(host: string): Html {
  const label = (text: string) => html`<span class="${text.length <= MAX_WHOLE_CHARS ? 'whole' : ''}">${text}</span>`;
  return html`${host.split('.').map((text, index) => (index === 0 ? label(text) : html`<wbr>${label(`.${text}`)}`))}`;
}

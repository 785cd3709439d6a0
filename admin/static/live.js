// Keeps an open page true: takes what has changed from a stream of events and changes only that, so that focus, selection
// and scroll position stay; tells relative times on; stops while the page is hidden or paused. Where no stream can be had it
// asks for the whole page now and then. Without this file the page works and loads itself anew every ten seconds.

/** Without a word from the admin for so long, what is shown may be old; it beats every 15 s. */
const SILENCE_LIMIT_MS = 35_000;
/** A stream that has just broken may be back before anybody needs to know. */
const STALE_AFTER_MS = 3_000;
const ASK_EVERY_MS = 10_000;
const ASK_LIMIT_MS = 8_000;

const main = document.getElementById('main');
const stale = document.getElementById('stale');
const liveSwitch = document.getElementById('live-switch');

let stream = null;
let digest = main.dataset.digest;
let isPaused = false;
let heardAtMs = performance.now();
let brokenSinceMs = null;
let askTimer = 0;
/** Redis's clock less the page's own. */
let offsetMs = Number(main.dataset.now) - performance.now();

function open() {
  close();
  if (isPaused || document.hidden) return;
  heardAtMs = performance.now();
  const url = new URL(main.dataset.events, location.href);
  url.searchParams.set('have', digest);
  stream = new EventSource(url);
  stream.addEventListener('open', heard);
  stream.addEventListener('beat', (event) => take(event));
  stream.addEventListener('patch', (event) => {
    const patch = take(event);
    digest = event.lastEventId;
    for (const part of patch.parts) apply(part);
    tellTimes();
  });
  stream.addEventListener('end', (event) => {
    const { why } = JSON.parse(event.data);
    // A page that asks for itself is led to the login, with the way back.
    if (why === 'session') location.reload();
    else open();
  });
  stream.addEventListener('error', () => {
    brokenSinceMs ??= performance.now();
    // It comes back by itself unless it was refused.
    if (stream?.readyState === EventSource.CLOSED) ask();
  });
}

function close() {
  clearTimeout(askTimer);
  stream?.close();
  stream = null;
}

function take(event) {
  const content = JSON.parse(event.data);
  offsetMs = content.nowMs - performance.now();
  heard();
  return content;
}

function heard() {
  heardAtMs = performance.now();
  brokenSinceMs = null;
  stale.hidden = true;
}

/** Asks for the whole page, and for a stream a while later. */
async function ask() {
  close();
  try {
    const response = await fetch(location.href, {
      headers: { 'x-hobbler-refresh': '1' },
      signal: AbortSignal.timeout(ASK_LIMIT_MS),
    });
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    offsetMs = Number(page.getElementById('main').dataset.now) - performance.now();
    digest = page.getElementById('main').dataset.digest;
    for (const next of page.querySelectorAll('[data-part]')) {
      const old = partOf(next.dataset.part);
      if (old) morph(old, next);
    }
    heard();
  } catch {
    stale.hidden = false;
  }
  askTimer = setTimeout(open, ASK_EVERY_MS);
}

function partOf(id) {
  return document.querySelector(`[data-part="${CSS.escape(id)}"]`);
}

function parsed(markup, around) {
  const template = document.createElement('template');
  template.innerHTML = `${around[0]}${markup}${around[1]}`;
  return template.content;
}

/** Makes a part what the patch says. The server has escaped what it sends. */
function apply({ id, html, rows, order }) {
  const old = partOf(id);
  if (!old) return;
  if (html !== undefined) {
    const next = old.cloneNode(false);
    next.append(parsed(html, ['', '']));
    return morph(old, next);
  }
  const body = old.querySelector('tbody');
  if (!body) return;
  const byKey = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  for (const [key, markup] of Object.entries(rows)) {
    const next = parsed(markup, ['<table><tbody>', '</tbody></table>']).querySelector('tr');
    const row = byKey.get(key);
    if (row) morph(row, next);
    else byKey.set(key, next);
  }
  if (!order) return;
  const wanted = new Set(order);
  for (const [key, row] of byKey) if (!wanted.has(key)) row.remove();
  let at = body.rows[0] ?? null;
  for (const key of order) {
    const row = byKey.get(key);
    if (row === at) at = row.nextElementSibling;
    else if (row) body.insertBefore(row, at);
  }
}

/** Makes `old` look like `next`, keeping every node that can be kept. */
function morph(old, next) {
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const keyed = new Map();
  for (const child of old.children) if (child.dataset?.key !== undefined) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = wanted.dataset?.key;
    if (key !== undefined && keyed.has(key) && keyed.get(key) !== at) {
      const moved = keyed.get(key);
      old.insertBefore(moved, at);
      at = moved;
    }
    if (at !== null && isSameKind(at, wanted)) {
      const following = at.nextSibling;
      if (at.nodeType === Node.ELEMENT_NODE) morph(at, wanted);
      else if (at.nodeValue !== wanted.nodeValue) at.nodeValue = wanted.nodeValue;
      at = following;
    } else {
      old.insertBefore(document.adoptNode(wanted), at);
    }
  }
  while (at !== null) {
    const following = at.nextSibling;
    at.remove();
    at = following;
  }
}

function isSameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

/** As formatDuration of shared/duration.ts writes it. */
function duration(ms) {
  const two = (value) => String(value).padStart(2, '0');
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h ${two(minutes % 60)}m` : `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

/** As views/format.ts writes them. */
const TIME_WORDS = {
  away: (awayMs) =>
    Math.abs(awayMs) < 1_000 ? 'now' : awayMs < 0 ? `${duration(-awayMs)} ago` : `in ${duration(awayMs)}`,
  left: (awayMs) => (awayMs > 0 ? duration(awayMs) : 'over'),
  since: (awayMs) => duration(-awayMs),
};

function tellTimes() {
  const nowMs = performance.now() + offsetMs;
  for (const time of document.querySelectorAll('time[data-in]')) {
    const words = TIME_WORDS[time.dataset.in]?.(Date.parse(time.dateTime) - nowMs);
    if (words !== undefined && time.textContent !== words) time.textContent = words;
  }
}

function everySecond() {
  if (document.hidden) return;
  const nowMs = performance.now();
  if (!isPaused) {
    tellTimes();
    if (brokenSinceMs !== null && nowMs - brokenSinceMs > STALE_AFTER_MS) stale.hidden = false;
    if (stream && nowMs - heardAtMs > SILENCE_LIMIT_MS) {
      stale.hidden = false;
      open();
    }
  }
}

liveSwitch.hidden = false;
liveSwitch.addEventListener('click', () => {
  isPaused = !isPaused;
  liveSwitch.textContent = isPaused ? 'Resume refresh' : 'Pause refresh';
  open();
});
document.addEventListener('visibilitychange', open);
// A page that is gone for good gives its place to others at once; one that comes back from the cache asks anew.
addEventListener('pagehide', close);
addEventListener('pageshow', (event) => event.persisted && open());
setInterval(everySecond, 1_000);
open();

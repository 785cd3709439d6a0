// Keeps the fleet page fresh: fetches the same page every two seconds and changes, in #live, only what differs, so that
// focus, selection and scroll position stay. Without this file the page works and reloads itself every ten seconds.

const EVERY_MS = 2_000;
const LIMIT_MS = 8_000;
const live = document.getElementById('live');
const stale = document.getElementById('stale');
const liveSwitch = document.getElementById('live-switch');
let isPaused = false;

async function refresh() {
  // A search being typed is not sent yet; its field must not be put back.
  if (isPaused || document.hidden || document.activeElement?.matches('#live input')) return;
  try {
    const response = await fetch(location.href, {
      headers: { 'x-hobbler-refresh': '1' },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    // Logged out meanwhile: show the login.
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    const next = page.getElementById('live');
    if (next) morph(live, next);
    stale.hidden = true;
  } catch {
    stale.hidden = false;
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
      if (at.nodeType === Node.ELEMENT_NODE) {
        // The switch belongs to this script, not to the server.
        if (at !== liveSwitch) morph(at, wanted);
      } else if (at.nodeValue !== wanted.nodeValue) at.nodeValue = wanted.nodeValue;
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

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

liveSwitch.hidden = false;
liveSwitch.addEventListener('click', () => {
  isPaused = !isPaused;
  liveSwitch.textContent = isPaused ? 'Resume refresh' : 'Pause refresh';
});
document.addEventListener('visibilitychange', refresh);
setTimeout(keepFresh, EVERY_MS);

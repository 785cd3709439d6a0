/**
 * The processes of a target as a tree: who is whose child, in which state, what it uses, and whether it is hobbled. Pure: a
 * worker's answer in, a table out. Depth is shown by indentation and said in words.
 */
import { MAX_TREE_PROCESSES, type TreeProcess } from '../../shared/trees.ts';
import type { TreeLook } from '../fleet/trees.ts';
import { known, percent, relativeTime, unknown } from './format.ts';
import { type Html, html } from './html.ts';
import { type Part, part, tablePart } from './part.ts';

export interface TreeView {
  host: string;
  target: string;
  look: TreeLook;
  /** False: the host cannot answer now. */
  isAlive: boolean;
  nowMs: number;
}

/** Deeper ones are indented no further. */
const MAX_INDENT = 12;

/** States of proc(5), in words. */
const STATES: Record<string, { words: string; tone: string }> = {
  R: { words: 'running', tone: 'good' },
  S: { words: 'sleeping', tone: 'calm' },
  D: { words: 'waiting', tone: 'calm' },
  T: { words: 'stopped', tone: 'active' },
  t: { words: 'traced', tone: 'warn' },
  Z: { words: 'ended', tone: 'calm' },
  I: { words: 'idle', tone: 'calm' },
};

interface Line extends TreeProcess {
  depth: number;
}

export function treePart({ host, target, look, isAlive, nowMs }: TreeView): Part {
  const { tree, atMs } = look;
  const heading = html`<section aria-labelledby="processes"><h2 id="processes">Processes of <code>${target}</code></h2>`;
  if (tree === null) {
    return part('tree', html`${heading}<div class="empty">${noTree(host, atMs, isAlive)}</div></section>`);
  }
  const more = tree.leftOut > 0 && html` The first ${MAX_TREE_PROCESSES}; ${tree.leftOut} more are not shown.`;
  return tablePart(
    'tree',
    {
      caption: `Processes of ${target} on ${host}`,
      columns: [
        { label: 'Process', kind: 'head', cell: nameCell },
        { label: 'State', cell: ({ state }) => stateCell(state) },
        {
          label: 'CPU now',
          kind: 'number',
          cell: ({ shareRatio }) => known(shareRatio, percent, 'known at the next look'),
        },
        { label: 'CPU used', kind: 'number', cell: ({ cpuMs }) => `${(cpuMs / 1000).toFixed(1)} s` },
        { label: 'User', kind: 'number', cell: ({ uid }) => known(uid, (id) => `uid ${id}`) },
        { label: 'Hobbled', cell: ({ spared }) => (spared === null ? 'yes' : html`no<small>${spared}</small>`) },
      ],
      rows: linesOf(tree.processes),
      key: ({ pid, startTicks }) => `${pid}@${startTicks}`,
      empty: html`<p><strong>No process now.</strong></p><p>The target stays in the tarpit until its order ends; whoever comes is hobbled.</p>`,
    },
    {
      above: heading,
      below: html`<p class="more">As the worker saw them ${atMs === null ? 'at a time unknown' : relativeTime(atMs, nowMs)}.${more} A process may be stopped at any one moment: that is the stop phase.</p></section>`,
    },
  );
}

function noTree(host: string, atMs: number | null, isAlive: boolean): Html {
  if (!isAlive)
    return html`<p><strong>${host} does not answer now.</strong></p><p>Its processes are shown when its worker is back.</p>`;
  if (atMs !== null)
    return html`<p><strong>The worker has no loop for this target now.</strong></p><p>It was let go, denied, or has ended; its state above says which.</p>`;
  return html`<p><strong>Asking the worker of ${host}…</strong></p><p>It answers within a second or two while it hobbles anything. A worker older than this admin does not answer.</p>`;
}

/** In the order of a tree: each process before its children, siblings by pid. */
export function linesOf(processes: readonly TreeProcess[]): Line[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const childrenOf = Map.groupBy(processes, ({ pid, ppid }) => (pids.has(ppid) && ppid !== pid ? ppid : 0));
  const lines: Line[] = [];
  const told = new Set<number>();
  const waiting = (childrenOf.get(0) ?? []).map((process) => ({ ...process, depth: 0 })).toReversed();
  for (let line = waiting.pop(); line; line = waiting.pop()) {
    if (told.has(line.pid)) continue;
    told.add(line.pid);
    lines.push(line);
    const { depth } = line;
    const children = (childrenOf.get(line.pid) ?? []).toSorted((a, b) => b.pid - a.pid);
    waiting.push(...children.map((child) => ({ ...child, depth: depth + 1 })));
  }
  // Read one after the other, they may seem each other's parents; none is left out for that.
  return [...lines, ...processes.filter(({ pid }) => !told.has(pid)).map((process) => ({ ...process, depth: 0 }))];
}

function nameCell({ comm, pid, ppid, depth }: Line): Html {
  const child = depth > 0 && html`<span class="sr">, child of ${ppid}</span>`;
  return html`<span class="twig d${Math.min(depth, MAX_INDENT)}"><code>${comm === '' ? '(no name)' : comm}</code> <span class="pid">${pid}${child}</span></span>`;
}

function stateCell(state: string): Html {
  const known = STATES[state];
  if (!known) return unknown(`state ${state}`);
  return html`<span class="badge ${known.tone}">${known.words}</span>`;
}

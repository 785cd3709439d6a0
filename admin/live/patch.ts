/**
 * What has changed between two renderings of a live page, as small as can be told cheaply: whole parts whose frame is
 * another, and of tables the rows that are others and their order. Pure. The words of a relative time do not count: the
 * page itself keeps them true.
 */
import { createHash } from 'node:crypto';
import type { Part } from '../views/part.ts';

/** What a page is told. Markup is what the server rendered and escaped. */
export interface Patch {
  parts: PartPatch[];
}

export type PartPatch =
  /** All of it anew. */
  | { id: string; html: string }
  /** Rows that are new or others, by key; `order` where rows came, went or moved. */
  | { id: string; rows: Record<string, string>; order?: string[] };

interface DrawnPart {
  /** Around the rows, without the words of times. */
  frame: string;
  html: string;
  /** By key: the row, and the same without the words of times. */
  rows: Map<string, { html: string; bare: string }>;
}

/** A rendering, kept to compare the next one with. */
export interface Drawing {
  parts: Map<string, DrawnPart>;
  /** The same for what looks the same. */
  digest: string;
}

/** `12s ago` between its tags, which hold the moment itself. */
const TIME_WORDS = /(<time [^>]*>)[^<]*/g;

export function draw(parts: readonly Part[]): Drawing {
  const hash = createHash('sha256');
  const drawn = new Map<string, DrawnPart>();
  for (const { id, before, rows, after } of parts) {
    const frame = bare(`${before}\n${after}`);
    hash.update(`${id}\n${frame}\n`);
    const drawnRows: DrawnPart['rows'] = new Map();
    for (const row of rows) {
      const text = row.html.toString();
      const plain = bare(text);
      hash.update(`${row.key}\n${plain}\n`);
      drawnRows.set(row.key, { html: text, bare: plain });
    }
    drawn.set(id, { frame, html: `${before}${rows.map((row) => row.html).join('')}${after}`, rows: drawnRows });
  }
  return { parts: drawn, digest: hash.digest('base64url').slice(0, 16) };
}

function bare(text: string): string {
  return text.replace(TIME_WORDS, '$1');
}

/** What makes `before` into `after`; null when nothing does. Without `before`, all of it. */
export function patchBetween(before: Drawing | null, after: Drawing): Patch | null {
  if (before?.digest === after.digest) return null;
  const parts = [...after.parts].flatMap(([id, part]) => patchOf(id, before?.parts.get(id), part) ?? []);
  return parts.length === 0 ? null : { parts };
}

function patchOf(id: string, before: DrawnPart | undefined, after: DrawnPart): PartPatch | null {
  if (before === undefined || before.frame !== after.frame) return { id, html: after.html };
  const rows: Record<string, string> = {};
  for (const [key, row] of after.rows) if (before.rows.get(key)?.bare !== row.bare) rows[key] = row.html;
  const order = [...after.rows.keys()];
  const isMoved = before.rows.size !== order.length || [...before.rows.keys()].some((key, at) => key !== order[at]);
  if (!isMoved && Object.keys(rows).length === 0) return null;
  return isMoved ? { id, rows, order } : { id, rows };
}

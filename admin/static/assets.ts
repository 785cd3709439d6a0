/**
 * The files that pages load, read once at start. Owns their names: each path carries a hash of the content, so browsers
 * may keep it for ever and a new version is fetched at once. A build that leaves the checkout must copy them beside this.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Asset {
  path: string;
  contentType: string;
  content: Buffer;
}

const TYPES = {
  'base.css': 'text/css; charset=utf-8',
  'tables.css': 'text/css; charset=utf-8',
  'forms.css': 'text/css; charset=utf-8',
  'board.css': 'text/css; charset=utf-8',
  'acts.css': 'text/css; charset=utf-8',
  'pages.css': 'text/css; charset=utf-8',
  'live.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;
export type AssetName = keyof typeof TYPES;

export const ASSETS = Object.fromEntries(
  (Object.keys(TYPES) as AssetName[]).map((name) => [name, readAsset(name)]),
) as Record<AssetName, Asset>;

function readAsset(name: AssetName): Asset {
  const content = readFileSync(new URL(`./${name}`, import.meta.url));
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  return { path: `/static/${hash}/${name}`, contentType: TYPES[name], content };
}

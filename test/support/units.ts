/**
 * The systemd units of packaging/systemd, read the way systemd reads what we use of its format, and their commands as
 * they are run from this checkout: for tests that hold them against the code, and that play systemd by them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sources.ts';

const FOLDER = join(ROOT, 'packaging/systemd');

/** Where the units expect a package that was installed with `npm install --global --prefix /usr/local`. */
const PACKAGE = '/usr/local/lib/node_modules/hobbler/dist';
const PROGRAM = '/usr/local/bin/hobbler';

export interface Unit {
  name: string;
  /** `Section.Key` → its values in order; most have one. */
  settings: ReadonlyMap<string, readonly string[]>;
  /** The one value of `Section.Key`. Throws unless there is exactly one. */
  one(key: string): string;
}

export const UNIT_NAMES = readdirSync(FOLDER).toSorted();

export function readUnit(name: string): Unit {
  const settings = new Map<string, string[]>();
  let section = '';
  for (const line of readFileSync(join(FOLDER, name), 'utf8').split('\n')) {
    if (line.trim() === '' || /^[#;]/.test(line)) continue;
    const header = /^\[([A-Za-z]+)\]$/.exec(line);
    if (header) {
      section = header[1]!;
      continue;
    }
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || section === '') throw new Error(`${name}: not a line of a unit: ${line}`);
    const full = `${section}.${key}`;
    settings.set(full, [...(settings.get(full) ?? []), value!]);
  }
  const one = (key: string) => {
    const values = settings.get(key) ?? [];
    if (values.length !== 1) throw new Error(`${name}: expected one ${key}, got ${values.length}`);
    return values[0]!;
  };
  return { name, settings, one };
}

/** `10s`, `100ms` or `15min` as milliseconds. */
export function spanMs(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|min)$/.exec(text) ?? [];
  if (unit === undefined) throw new Error(`not a time span that the units use: ${text}`);
  return Number(count) * { ms: 1, s: 1_000, min: 60_000 }[unit as 'ms' | 's' | 'min'];
}

/** A command of a unit as it is run from this checkout, on another state directory. */
export function commandOf(unit: Unit, key: string, stateDir: string): { program: string; args: string[] } {
  const [program, ...args] = unit
    .one(key)
    .replace(/^[-+]+/, '')
    .replaceAll(PACKAGE, ROOT)
    .split(' ')
    .map((word) => (word === '/run/hobbler' ? stateDir : word));
  if (program === PROGRAM) return { program: process.execPath, args: [join(ROOT, 'cli.ts'), ...args] };
  return { program: program!, args };
}

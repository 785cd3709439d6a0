/**
 * Loads the one config file (YAML, of which JSON is a part) and validates a section of it. All faults are reported at
 * once, each with line and path. A section's schema belongs to the folder that reads it.
 */
import { readFileSync } from 'node:fs';
import { type Document, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { HobblerError, messageOf, quote } from './errors.ts';

export const DEFAULT_CONFIG_PATH = '/etc/hobbler/hobbler.yaml';

/** The top-level sections that a config file may have; anything else is a typo. */
const SECTIONS = ['redis', 'worker', 'producer', 'admin'] as const;
export type Section = (typeof SECTIONS)[number];

/** Reads `section` of the file at `path`; undefined path means: all defaults. Throws invalid-config listing every fault. */
export function loadSection<Schema extends z.ZodType>(
  path: string | undefined,
  section: Section,
  schema: Schema,
): z.output<Schema> {
  return parseSection(path === undefined ? '' : readConfigText(path), path ?? 'built-in defaults', section, schema);
}

function readConfigText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new HobblerError('invalid-config', `cannot read it (${messageOf(error)})`, {
      where: path,
      hint: 'give the path with --config or HOBBLER_CONFIG',
    });
  }
}

/** Validates `section` of the YAML `text`; `name` stands for the file in messages. */
export function parseSection<Schema extends z.ZodType>(
  text: string,
  name: string,
  section: Section,
  schema: Schema,
): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseYaml(text, name, lines);
  const faults = document.errors.map(
    (error) => `${name}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`,
  );
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) === undefined)
        faults.push(`${name}:${lines.linePos(alias.range?.[0] ?? 0).line}: *${alias.source}: no such anchor before it`);
    },
  });
  if (faults.length > 0) throw new HobblerError('invalid-config', listed(faults));

  const whole = toPlain(document, name) ?? {};
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) {
    throw new HobblerError('invalid-config', 'not a mapping', {
      where: name,
      expected: `sections ${SECTIONS.join(', ')}`,
      got: whole,
    });
  }
  const lineOf = (path: readonly PropertyKey[]): number => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as Node | undefined;
      if (node?.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };
  for (const key of Object.keys(whole)) {
    if (!(SECTIONS as readonly string[]).includes(key)) {
      faults.push(`${name}:${lineOf([key])}: ${key}: unknown section; expected one of ${SECTIONS.join(', ')}`);
    }
  }
  const parsed = schema.safeParse((whole as Record<string, unknown>)[section] ?? {});
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const path = [section, ...issue.path];
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys)
          faults.push(`${name}:${lineOf([...path, key])}: ${[...path, key].map(String).join('.')}: unknown setting`);
        continue;
      }
      const got = document.getIn(path);
      const shown =
        typeof got === 'object' && got !== null ? '' : `; got ${got === undefined ? 'nothing' : quote(got)}`;
      faults.push(`${name}:${lineOf(path)}: ${path.map(String).join('.')}: ${issue.message}${shown}`);
    }
  }
  if (faults.length > 0) throw new HobblerError('invalid-config', listed(faults));
  return parsed.data as z.output<Schema>;
}

/** The parser recurses, so a file that nests without end leaves it no stack. */
function parseYaml(text: string, name: string, lineCounter: LineCounter): Document {
  try {
    return parseDocument(text, { lineCounter, uniqueKeys: true, logLevel: 'error' });
  } catch (error) {
    throw new HobblerError('invalid-config', `cannot be parsed (${messageOf(error)})`, { where: name });
  }
}

/** Faults that a message spells out: a file that is broken altogether has thousands. */
const MAX_FAULTS = 30;

function listed(faults: readonly string[]): string {
  const shown = faults
    .slice(0, MAX_FAULTS)
    .map((fault) => (fault.length > MAX_FAULT_CHARS ? `${fault.slice(0, MAX_FAULT_CHARS)}…` : fault));
  return [...shown, ...(faults.length > shown.length ? [`and ${faults.length - shown.length} more`] : [])].join('\n');
}

/** More than the longest sentence of ours; names of keys stand in faults, and may be of any length. */
const MAX_FAULT_CHARS = 240;

function toPlain(document: Document, name: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // aliases that multiply
    throw new HobblerError('invalid-config', messageOf(error), { where: name });
  }
}

/** Hobbler's own source files, as the architecture tests look at them: their text without comments, and their imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface Source {
  /** From the repository's root, e.g. `shared/redis/fleet.ts`. */
  path: string;
  text: string;
  lines: number;
}

/** The files of these folders and the root's own files with one of these endings. */
export function readSources(folders: readonly string[], endings: readonly string[]): Source[] {
  const inFolders = folders.flatMap((folder) => listFiles(join(ROOT, folder)));
  const inRoot = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'vitest.config.ts')
    .map((entry) => join(ROOT, entry.name));
  return [...inRoot, ...inFolders]
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      return { path: relative(ROOT, path), text, lines: text.trimEnd().split('\n').length };
    });
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return []; // a folder that a later issue adds
  }
}

/** Lines of code by number, comments left out as far as our own formatting makes them plain to see. */
export function codeLines(text: string): { number: number; code: string }[] {
  return text
    .split('\n')
    .map((line, index) => ({ number: index + 1, code: line.replace(/(^|\s)\/\/ .*$/, '') }))
    .filter(({ code }) => code.trim() !== '' && !/^\s*(\/\*|\*)/.test(code));
}

/** What a file imports: packages by name, our own files by their path from the root. Types count, too. */
export function importsOf({ path, text }: Source): string[] {
  const specifiers = [...text.matchAll(/(?<![.\w])(?:from|import)\s*\(?\s*'([^'\n]+)'/g)].map((match) => match[1]!);
  return specifiers.map((specifier) => (specifier.startsWith('.') ? join(dirname(path), specifier) : specifier));
}

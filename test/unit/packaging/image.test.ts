/** The Docker image holds every folder that the command line reaches, and Docker is let see each of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { importsOf, ROOT } from '../../support/sources.ts';

/** The folders with modules that `cli.ts` imports, itself and through others, lazily too. */
function reachedFolders(): string[] {
  const seen = new Set(['cli.ts']);
  for (const path of seen) {
    const text = readFileSync(join(ROOT, path), 'utf8');
    for (const wanted of importsOf({ path, text, lines: 0 })) if (wanted.endsWith('.ts')) seen.add(wanted);
  }
  return [...new Set([...seen].filter((path) => path.includes('/')).map((path) => path.split('/')[0]!))].toSorted();
}

it('copies all that is imported', () => {
  const folders = reachedFolders();
  expect(folders).toEqual(expect.arrayContaining(['client', 'producer', 'shared', 'worker']));
  const copied = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^COPY (\w+) \.\/\1$/gm)].map(
    ([, name]) => name,
  );
  const shown = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  for (const folder of folders) {
    expect(copied, 'Dockerfile').toContain(folder);
    expect(shown, '.dockerignore').toContain(`!${folder}`);
  }
});

/** The table of promises in docs/security.md: each test that it names is there, under that name. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/security.md', root), 'utf8');
const table = page.split('## Do no harm')[1]!;
const rows = [...table.matchAll(/^\| (?!promise|---)(.+?) \| (.+) \|$/gm)].map(([, promise, shown]) => ({
  promise: promise!,
  tests: shown!.split('; ').flatMap((part) => {
    const path = /`(test\/[^`]+)`/.exec(part)?.[1];
    return path === undefined ? [] : [{ path, titles: [...part.matchAll(/“([^”]+)”/g)].map(([, title]) => title!) }];
  }),
}));

it('the table is found', () => expect(rows.length).toBeGreaterThan(30));

describe.each(rows)('“$promise”', ({ tests }) => {
  it('is shown by a test', () => expect(tests.length).toBeGreaterThan(0));

  it.each(tests)('in $path', ({ path, titles }) => {
    const source = readFileSync(new URL(path, root), 'utf8');
    for (const title of titles) expect(source, title).toContain(title);
  });
});

it('every other test that the page names is there', () => {
  for (const [, path] of page.matchAll(/`(test\/[\w./-]+\.ts)`/g))
    expect(() => readFileSync(new URL(path!, root)), path).not.toThrow();
});

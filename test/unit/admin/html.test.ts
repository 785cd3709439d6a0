/** Escaping by construction: no value becomes markup, and nothing of it is lost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeHtml, html, link } from '../../../admin/views/html.ts';
import { HOSTILE } from './examples.ts';

/** What a browser makes of escaped text. */
const unescapeHtml = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|#39|#96);/g, (entity) => {
    const characters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#96': '`' };
    return characters[entity.slice(1, -1)]!;
  });

describe('html', () => {
  test('escapes every value, whatever stands in it, and loses nothing of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const markup = html`<p title="${text}">x</p>`.toString();
        expect(markup.startsWith('<p title="') && markup.endsWith('">x</p>')).toBe(true);
        const inside = markup.slice('<p title="'.length, -'">x</p>'.length);
        expect(inside).not.toMatch(/[<>"'`]/);
        expect(unescapeHtml(inside)).toBe(text);
      }),
    );
  });

  test('leaves nested templates as they are and escapes strings in lists', () => {
    const items = ['<b>', html`<i>ok</i>`];
    expect(html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`.toString()).toBe(
      '<ul><li>&lt;b&gt;</li><li><i>ok</i></li></ul>',
    );
  });

  test('writes nothing for null, undefined and false, and 0 for zero', () => {
    expect(html`a${null}b${undefined}c${false}d${0}`.toString()).toBe('abcd0');
  });

  test('does not take an object that looks like markup for markup', () => {
    const forged = JSON.parse('{"text":"<script>","toString":null}') as never;
    expect(() => html`${forged}`.toString()).toThrow();
    expect(html`${{ toString: () => HOSTILE } as never}`.toString()).toBe(escapeHtml(HOSTILE));
  });

  test('a link keeps hostile parameters inside the query', () => {
    const path = link('/release', { host: 'web-1', target: `cgroup:/a&b="><script>`, gone: undefined });
    const url = new URL(path, 'http://admin');
    expect(url.pathname).toBe('/release');
    expect([...url.searchParams]).toEqual([
      ['host', 'web-1'],
      ['target', `cgroup:/a&b="><script>`],
    ]);
  });
});

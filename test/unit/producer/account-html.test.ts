/** The page of an account: what its owner sees, in which form it is asked for, and that nothing of it becomes markup. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AccountPage, LimitPage, VerdictPage } from '../../../producer/account-page.ts';
import { ACCOUNT_PAGE_CSP, renderAccount } from '../../../producer/http/account-html.ts';
import { prefersHtml } from '../../../producer/http/accounts.ts';
import { NOW_MS } from './support.ts';

const LIMIT: LimitPage = {
  name: 'day',
  used: 2104,
  limit: 2000,
  unit: 's',
  resource: 'cpu',
  resetsAt: new Date(NOW_MS + 8 * 3_600_000).toISOString(),
  readAt: new Date(NOW_MS).toISOString(),
  level: 1,
};
const VERDICT: VerdictPage = {
  subject: 'account',
  verdict: 'tarpit',
  reason: 'cpu 2104 s of 2000 s',
  details: ['day: cpu 2104 s of 2000 s; resets at 00:00 UTC'],
  since: new Date(NOW_MS - 60_000).toISOString(),
  until: new Date(NOW_MS + 8 * 3_600_000).toISOString(),
  level: { runMs: 10, stopMs: 200, mechanism: 'auto' },
  overruledBy: null,
  places: [{ host: '*', target: 'user:alice' }],
  limits: [LIMIT],
};
const PAGE: AccountPage = {
  account: 'alice',
  isSlowed: true,
  summary: 'alice is slowed down.',
  verdicts: [VERDICT],
  unreadable: [],
};
const render = (changes: Partial<AccountPage> = {}, verdict: Partial<VerdictPage> = {}) =>
  renderAccount({ ...PAGE, verdicts: [{ ...VERDICT, ...verdict }], ...changes }, 'UTC', NOW_MS);

describe('the page of an account that is slow', () => {
  it('says that it is, how slow, since when, what was used of what, and when it ends', () => {
    const text = render().replace(/\s+/g, ' ');
    expect(text).toContain('<title>alice: slowed down</title>');
    expect(text).toContain('<h1>alice is slowed down</h1>');
    expect(text).toContain('Programs run 10 ms of every 210 ms (4.8 % of the time)');
    expect(text).toMatch(
      /Since <time datetime="[^"]*">15:59 UTC<\/time>\. It ends <time [^>]*>00:00 UTC<\/time> \(in 8h\)/,
    );
    expect(text).toContain('<th scope="row">day (cpu)</th><td>2104 s</td><td>2000 s</td>');
    expect(text).toContain(
      '<meter min="0" max="2000" low="1500" high="1980" optimum="0" value="2000" aria-label="cpu">105 %</meter>',
    );
    expect(text).toContain('<li>day: cpu 2104 s of 2000 s; resets at 00:00 UTC</li>');
  });

  it('tells times in the zone of the account', () => {
    expect(renderAccount(PAGE, 'Europe/Berlin', NOW_MS)).toContain('16:59 Europe/Berlin</time>');
  });

  it('does not promise an end that is not known', () => {
    expect(render({}, { until: null })).toContain('No end is known yet.');
  });

  it('says by whom it was released in spite of the policy, and no longer how slow it is', () => {
    const text = render({ isSlowed: false }, { overruledBy: 'operator:ann' });
    expect(text).toContain('Released by operator:ann.');
    expect(text).not.toContain('Programs run');
  });

  it('shows each of several targets under its name', () => {
    const text = renderAccount(
      { ...PAGE, verdicts: [VERDICT, { ...VERDICT, subject: 'web-1 uid:1001', level: null, limits: [] }] },
      'UTC',
      NOW_MS,
    );
    expect(text).toContain('<h2>The account as a whole</h2>');
    expect(text).toContain('<h2>web-1 uid:1001</h2>');
  });
});

describe('the page', () => {
  it('of an account that is not slow says so, and what it has left', () => {
    const text = render({ isSlowed: false }, { level: null, until: null, limits: [{ ...LIMIT, used: 500 }] });
    expect(text).toContain('<h1>alice is not slowed down</h1>');
    expect(text).toContain('value="500"');
    expect(text).not.toContain('Programs run');
  });

  it('has no bar for what is not known', () => {
    const text = render({}, { limits: [{ ...LIMIT, used: null, resetsAt: null }] });
    expect(text).toContain('<td>not known</td>');
    expect(text).not.toContain('<meter');
  });

  it('says what cannot be read', () => {
    expect(render({ unreadable: ['state:account'] })).toContain(
      'Records that cannot be read, and so count for nothing: 1.',
    );
  });

  it('makes markup of nothing that it is given', () => {
    const evil = '<script>alert(1)</script>"\'`';
    const text = render(
      { account: evil, summary: evil },
      {
        reason: evil,
        details: [evil],
        overruledBy: evil,
        subject: evil,
        limits: [{ ...LIMIT, name: evil, unit: evil, resource: evil }],
      },
    );
    expect(text).not.toContain('<script');
    expect(text.match(/&lt;script&gt;/g)!.length).toBeGreaterThanOrEqual(6);
    expect(text).not.toContain(`"'`);
  });

  it('allows its own style by digest, and nothing else', () => {
    const [, style] = /<style>([\s\S]*?)<\/style>/.exec(render()) ?? [];
    const digest = createHash('sha256').update(style!).digest('base64');
    expect(ACCOUNT_PAGE_CSP).toContain(`style-src 'sha256-${digest}'`);
    expect(ACCOUNT_PAGE_CSP).toContain("default-src 'none'");
    expect(render()).not.toMatch(/ style=|<link|<img|https?:/);
  });
});

describe('what is asked for', () => {
  it.each([
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', true],
    ['TEXT/HTML', true],
    ['text/html;q=0.5, application/json;q=0.4', true],
    [undefined, false],
    ['*/*', false],
    ['application/json', false],
    ['application/json, text/html;q=0.9', false],
    ['text/html;q=0', false],
    ['text/html;q=x', false],
    ['', false],
  ])('by %s is a page: %s', (accept, isPage) => {
    expect(prefersHtml(accept)).toBe(isPage);
  });
});

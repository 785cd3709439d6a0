/** Open pages: they are told what has changed and no more, one that does not listen costs nothing, and a session's end is theirs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LiveHub, type View, type Visitor } from '../../../admin/live/hub.ts';
import { draw, type Patch, patchBetween } from '../../../admin/live/patch.ts';
import { html } from '../../../admin/views/html.ts';
import { type Part, part, tablePart } from '../../../admin/views/part.ts';
import { silentLogger } from '../../../shared/log.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

function rows(...names: string[]): Part {
  return tablePart('rows', {
    caption: 'rows',
    columns: [{ label: 'Name', cell: (name: string) => name }],
    rows: names,
    key: (name) => name.split('=')[0]!,
    empty: html`nobody`,
  });
}

describe('a patch', () => {
  const between = (before: Part[] | null, after: Part[]) => patchBetween(before && draw(before), draw(after));

  test('of a page that shows nothing yet is all of it', () => {
    expect(between(null, [part('a', html`<p>x</p>`), rows('ann=1')])?.parts).toEqual([
      { id: 'a', html: '<p>x</p>' },
      { id: 'rows', html: expect.stringContaining('ann=1') },
    ]);
  });

  test('is nothing where all looks the same, and where only the words of a time would be others', () => {
    const time = (words: string) => [part('t', html`<p><time datetime="2026">${words}</time></p>`)];
    expect(between(time('1s ago'), time('2s ago'))).toBeNull();
    expect(between(time('1s ago'), [part('t', html`<p><time datetime="2027">1s ago</time></p>`)])?.parts).toHaveLength(
      1,
    );
  });

  test('holds the part that changed, and not its neighbours', () => {
    const page = (words: string) => [part('a', html`${words}`), part('b', html`same`)];
    expect(between(page('x'), page('y'))?.parts).toEqual([{ id: 'a', html: 'y' }]);
  });

  test('holds the rows that changed, with the order only where rows came, went or moved', () => {
    expect(between([rows('ann=1', 'bob=1')], [rows('ann=1', 'bob=2')])?.parts).toEqual([
      { id: 'rows', rows: { bob: expect.stringContaining('bob=2') } },
    ]);
    expect(between([rows('ann=1', 'bob=1')], [rows('bob=1', 'ann=1')])?.parts).toEqual([
      { id: 'rows', rows: {}, order: ['bob', 'ann'] },
    ]);
    expect(between([rows('ann=1')], [rows('ann=1', 'eve=1')])?.parts).toEqual([
      { id: 'rows', rows: { eve: expect.stringContaining('eve=1') }, order: ['ann', 'eve'] },
    ]);
    expect(between([rows('ann=1', 'bob=1')], [rows('bob=1')])?.parts).toEqual([
      { id: 'rows', rows: {}, order: ['bob'] },
    ]);
  });

  test('is the whole part where a table begins or ends', () => {
    expect(between([rows()], [rows('ann=1')])?.parts).toEqual([
      { id: 'rows', html: expect.stringContaining('<table') },
    ]);
    expect(between([rows('ann=1')], [rows()])?.parts).toEqual([
      { id: 'rows', html: expect.stringContaining('nobody') },
    ]);
  });
});

describe('the hub', () => {
  let clock: FakeClock;
  let hub: LiveHub;
  let onRound: (() => void) | undefined;
  let content: Part[];
  let draws: number;
  let failing: boolean;

  beforeEach(() => {
    clock = new FakeClock();
    [content, draws, failing, onRound] = [[part('a', html`first`)], 0, false, undefined];
    const rounds = {
      watch: (listener: () => void) => {
        onRound = listener;
        return () => {
          onRound = undefined;
        };
      },
      get nowMs() {
        return clock.wallMs();
      },
    };
    hub = new LiveHub(rounds, clock, silentLogger());
  });
  afterEach(async () => {
    hub.stop();
    await clock.advance(0);
    expect(clock.pendingTimers).toBe(0);
    expect(onRound).toBeUndefined();
  });

  const view = (key = 'one'): View => ({
    key,
    draw: () => {
      draws++;
      if (failing) throw new Error('a view that cannot be drawn');
      return content;
    },
  });
  const visitor = (changes: Partial<Visitor> = {}): Visitor => ({
    ...{ name: 'ann', isWelcome: () => true, shownDigest: null },
    ...changes,
  });
  async function round(next?: string) {
    if (next !== undefined) content = [part('a', html`${next}`)];
    onRound?.();
    await clock.advance(0);
  }
  /** What was sent since the last call: the events by name, with what they hold. */
  async function sent(body: ReturnType<LiveHub['open']>): Promise<[string, Patch & { why?: string }][]> {
    await clock.advance(0);
    await settle();
    const text = String(body.read() ?? '');
    return [...text.matchAll(/^event: (\w+)\n(?:id: .*\n)?data: (.*)\n\n/gm)].map(([, name, json]) => [
      name!,
      JSON.parse(json!),
    ]);
  }

  test('tells a page all at first, then what changed, once, and nothing where nothing did', async () => {
    const body = hub.open(view(), visitor());
    expect(await sent(body)).toMatchObject([['patch', { nowMs: clock.wallMs(), parts: [{ id: 'a', html: 'first' }] }]]);
    await round();
    expect(await sent(body)).toEqual([]);
    await round('second');
    expect(await sent(body)).toMatchObject([['patch', { parts: [{ html: 'second' }] }]]);
  });

  test('tells a page nothing that it shows already', async () => {
    const body = hub.open(view(), visitor({ shownDigest: draw(content).digest }));
    expect(await sent(body)).toEqual([]);
    await round('second');
    expect(await sent(body)).toMatchObject([['patch', { parts: [{ html: 'second' }] }]]);
  });

  test('draws once for all who look at the same thing', async () => {
    const bodies = Array.from({ length: 5 }, () => hub.open(view(), visitor()));
    for (const body of bodies) await sent(body);
    draws = 0;
    await round('second');
    expect(draws).toBe(1);
    for (const body of bodies) expect(await sent(body)).toHaveLength(1);
  });

  test('beats, so that a silence means something', async () => {
    const body = hub.open(view(), visitor());
    await sent(body);
    await clock.advance(15_000);
    expect(await sent(body)).toMatchObject([['beat', { nowMs: expect.any(Number) }]]);
  });

  test('sends one that takes nothing no more, then all of it anew once it does, and lets go of it in the end', async () => {
    const [body, quick] = [hub.open(view(), visitor()), hub.open(view(), visitor())];
    await sent(quick);
    await sent(body);
    await round('x'.repeat(40_000));
    expect(await sent(quick)).toHaveLength(1);
    await round('third');
    await round('fourth');
    expect((await sent(quick)).length).toBeGreaterThan(0);
    expect(await sent(body)).toHaveLength(1); // the long one that was waiting
    await round('fifth');
    expect(await sent(body)).toMatchObject([['patch', { parts: [{ html: 'fifth' }] }]]);

    await round('y'.repeat(40_000));
    await sent(quick);
    await clock.advance(31_000);
    await round('seventh');
    expect(body.destroyed).toBe(true);
    expect(quick.destroyed).toBe(false);
    expect(hub.openPages).toBe(1);
  });

  test('ends a stream with its session, at the next round or beat', async () => {
    let isWelcome = true;
    const body = hub.open(view(), visitor({ isWelcome: () => isWelcome }));
    await sent(body);
    isWelcome = false;
    await round('a secret');
    expect(await sent(body)).toEqual([['end', { why: 'session' }]]);
    expect(body.readableEnded || body.read() === null).toBe(true);
    expect(hub.openPages).toBe(0);
    expect(onRound).toBeUndefined();
  });

  test('lets no stream grow old: it has to pass the gate anew', async () => {
    const body = hub.open(view(), visitor());
    await clock.advance(11 * 60_000);
    expect((await sent(body)).at(-1)).toEqual(['end', { why: 'anew' }]);
  });

  test('is bounded in pages of one user and of all, and takes others when some have gone', async () => {
    const bodies = Array.from({ length: 20 }, () => hub.open(view(), visitor()));
    expect(() => hub.open(view(), visitor())).toThrow(/too many pages are open/);
    for (let user = 0; hub.openPages < 300; user++) hub.open(view(`${user}`), visitor({ name: `user${user}` }));
    expect(() => hub.open(view(), visitor({ name: 'other' }))).toThrow(/too many pages are open/);
    bodies[0]!.destroy();
    await settle();
    expect(hub.openPages).toBe(299);
    hub.open(view(), visitor());
  });

  test('goes on after a view that could not be drawn', async () => {
    const body = hub.open(view(), visitor());
    await sent(body);
    failing = true;
    await round('second');
    expect(await sent(body)).toEqual([]);
    failing = false;
    await round('third');
    expect(await sent(body)).toMatchObject([['patch', { parts: [{ html: 'third' }] }]]);
  });
});

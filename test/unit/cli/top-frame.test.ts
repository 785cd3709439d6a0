/** What `top` draws: frames of every size, of empty, odd and hostile fleets. No terminal, no Redis. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { columnsOf, createPalette } from '../../../cli/print.ts';
import { COLUMN_IDS, COLUMNS } from '../../../cli/top/columns.ts';
import { pictureOf, renderFrame, type Scene, type Size, selectRows } from '../../../cli/top/frame.ts';
import { FIRST_STATE, type TopState } from '../../../cli/top/model.ts';
import type { FleetView } from '../../../shared/redis/fleet.ts';
import { targetStates } from '../../../shared/report.ts';
import { statusExample } from '../../support/reports.ts';
import { hostExample, targetExample, VIEW_AT_MS, viewExample } from '../../support/views.ts';

const PLAIN = createPalette(false);
const COLOURS = createPalette(true);

function sceneOf(view: FleetView, state: TopState, changes: Partial<Scene> = {}): Scene {
  const picture = pictureOf({ view, atMs: 0, roundTripMs: 0.42 });
  return {
    picture,
    rows: selectRows(picture, state),
    host: undefined,
    everyMs: 1_000,
    ageMs: 0,
    failure: undefined,
    wallMs: VIEW_AT_MS,
    ...changes,
  };
}

interface Request extends Partial<Size> {
  state?: Partial<TopState>;
  scene?: Partial<Scene>;
  palette?: typeof PLAIN;
}

function draw(view: FleetView, { width = 160, height = 24, state = {}, scene = {}, palette = PLAIN }: Request = {}) {
  const whole = { ...FIRST_STATE, ...state };
  return renderFrame(sceneOf(view, whole, scene), whole, { width, height }, palette).lines;
}

const view = viewExample([
  hostExample(
    'web-1',
    [
      targetExample('user:alice', { gotRatio: 0.047, costRatio: 0.0004, reason: 'cpu 2104 s of 2000 s today' }),
      targetExample('pid:4242@77', { gotRatio: 0.9, effective: false, periodMs: 840, beforeRatio: null }),
      targetExample('uid:0', { state: 'denied', why: 'below minUid', mechanism: null, periodMs: null, processes: 0 }),
    ],
    { status: statusExample('web-1', VIEW_AT_MS, { ownCpuRatio: 0.021, redisRttMs: 0.7 }) },
  ),
  hostExample('web-2', [], { status: statusExample('web-2', VIEW_AT_MS, { ownCpuRatio: 0.004, redisRttMs: 3.21 }) }),
]);

describe('the header', () => {
  test('sums up hosts, cost, Redis, and targets by state', () => {
    const text = draw(view).join('\n');
    expect(text).toMatch(/^hobbler top {2}\d\d:\d\d:\d\d {2}the fleet, every 1s$/m);
    expect(text).toContain('hosts 2: 2 alive, 0 late, 0 lost   own CPU 2.5 %, most 2.1 % on web-1');
    expect(text).toContain('Redis 0.4 ms, 3.2 ms from web-2');
    expect(text).toContain('targets 3: 2 hobbling, 1 denied   6 processes   1 without effect!');
  });

  test('names who is lost, late, held, without guard; what a lost host said is not counted as so', () => {
    const hold = { reason: 'look', by: 'operator:me', sinceMs: VIEW_AT_MS - 60_000 };
    const dead = statusExample('web-3', VIEW_AT_MS, { guard: 'dead' });
    const sick = viewExample(
      [
        hostExample('web-1', [targetExample('uid:1')], { liveness: 'lost' }),
        hostExample('web-2', [], { liveness: 'late', hold }),
        hostExample('web-3', [], { status: dead }),
      ],
      { hold },
    );
    const text = draw(sick).join('\n');
    expect(text).toContain('hosts 3: 1 alive, 1 late, 1 lost   own CPU ?');
    expect(text).toContain('targets 1   1 on lost hosts   0 processes');
    expect(text).toContain('held: the fleet: look (operator:me, 1m 00s ago); web-2: look (operator:me)');
    expect(text).toContain('lost: web-1   late: web-2   guard dead: web-3');
    expect(text).toMatch(/uid:1 +hobbling\?/);
  });

  test('an unknown cost is not a zero', () => {
    const silent = viewExample([
      hostExample('web-1', [], { status: statusExample('web-1', VIEW_AT_MS, { ownCpuRatio: 0.01 }) }),
      hostExample('web-2'),
    ]);
    expect(draw(silent).join('\n')).toContain('own CPU 1.0 %, most 1.0 % on web-1, 1 not known');
  });

  test.each<[Request, RegExp]>([
    [
      { scene: { failure: 'connect ECONNREFUSED\u001b[2J', ageMs: 12_000 } },
      /Redis cannot be read \(.*\uFFFD\[2J\): .* 12s old/,
    ],
    [{ scene: { ageMs: 4_000 } }, /no answer from Redis yet: this picture is 4s old/],
    [{ scene: { ageMs: 4_000 }, state: { isPaused: true } }, /PAUSED, this picture is 4s old/],
  ])('an old picture is said to be one', (request, words) => {
    const text = draw(view, request).join('\n');
    expect(text).toMatch(words);
    expect(text).toContain('user:alice');
  });

  test('with Redis away its round trip is not known', () => {
    expect(draw(view, { scene: { failure: 'x' } }).join('\n')).toContain('Redis ? ms');
  });
});

describe('the table', () => {
  test('has every column where there is room', () => {
    const lines = draw(view);
    const title = lines.find((line) => line.startsWith('HOST'))!;
    for (const id of COLUMN_IDS) expect(title).toContain(COLUMNS[id].title);
    const line = (target: string) => lines.find((each) => each.includes(target));
    expect(line('user:alice')).toMatch(
      /web-1 user:alice +hobbling signal +3 +100 % +4\.8 % +4\.7 % +0\.04 % +210 ms +1m 00s policy +cpu 2104 s of 2000/,
    );
    expect(line('pid:4242@77')).toMatch(/\? +4\.8 % +90 %! +0\.2 % +840 ms\* /);
    expect(line('uid:0')).toMatch(/denied +- +0 +100 % +4\.8 % +\? +0\.2 % +- .* below minUid/);
  });

  test('marks the column that it is sorted by, which is shown at any width', () => {
    expect(draw(view).join('\n')).toContain('GOT↓');
    for (const sort of COLUMN_IDS.filter((id) => id !== 'host' && id !== 'target')) {
      const narrow = draw(view, { width: 40, state: { sort, isReversed: true } }).join('\n');
      expect(narrow).toContain(`${COLUMNS[sort].title}${COLUMNS[sort].isText ? '↓' : '↑'}`);
    }
  });

  test('of one host has no column for it; columns can be left out to see the reason whole', () => {
    const one = draw(view, { scene: { host: 'web-1' } }).join('\n');
    expect(one).not.toContain('HOST');
    expect(one).toContain('web-1, every 1s');
    const right = draw(view, { width: 60, state: { skip: 10 } }).join('\n');
    expect(right).toContain('cpu 2104 s of 2000 s today');
    expect(right).not.toContain('STATE');
  });

  test('shows the rows in sight alone, and says which', () => {
    const many = viewExample([
      hostExample(
        'web-1',
        Array.from({ length: 10_000 }, (_, uid) => targetExample(`uid:${uid}`)),
      ),
    ]);
    const state = { sort: 'target' as const, first: 9_999_999 };
    const lines = draw(many, { state });
    expect(lines).toHaveLength(24);
    expect(lines.filter((line) => line.startsWith('web-1')).at(-1)).toContain('uid:9999');
    expect(lines.at(-1)).toMatch(/of 10000$/);
    expect(draw(many, { height: Number.POSITIVE_INFINITY })).toHaveLength(10_005);
  });

  test.each<[FleetView, Request, string]>([
    [viewExample([]), {}, 'No worker has ever reported to this Redis. Start one with: hobbler worker'],
    [viewExample([]), { scene: { host: 'web-9' } }, 'No worker has ever reported as web-9.'],
    [viewExample([hostExample('web-1')]), {}, 'Nobody is in the tarpit.'],
    [view, { state: { filter: 'nobody' } }, 'No target matches the filter.'],
  ])('that is empty says why', (empty, request, words) => {
    expect(draw(empty, request)).toContain(words);
  });

  test('what cannot be read is shown as unknown, with the reason', () => {
    const broken = viewExample([hostExample('web-1', [], { brokenReports: [{ target: 'uid:9', why: 'not\nJSON' }] })]);
    expect(draw(broken).find((line) => line.includes('uid:9'))).toMatch(
      /^web-1 uid:9 +\? +\? +\? +\? +\? +\? +\? +\? +\? \? +report cannot be read: not\uFFFDJSON$/,
    );
  });

  test('the filter shows what is typed and what it leaves', () => {
    const text = draw(view, { state: { filter: 'alice', isTyping: true } }).join('\n');
    expect(text).toMatch(/filter: alice .*1 of 3 {3}enter keeps it/);
  });
});

describe('any frame', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(
      '日本語'.repeat(9),
      '\u001b[2J\u001b]0;x\u0007',
      '\u202eevil',
      'e\u0301'.repeat(30),
      '👨‍👩‍👧‍👦❤️'.repeat(5),
      'x'.repeat(600),
    ),
  );
  const share = fc.option(fc.oneof(fc.double({ min: 0, noNaN: true }), fc.constantFrom(0, 1e-9, 1, 1_000)));
  const report = fc
    .record({
      target: name,
      reason: name,
      by: name,
      why: fc.option(name),
      state: fc.constantFrom(...targetStates),
      mechanism: fc.constantFrom('signal', 'freezer', 'quota', null),
      processes: fc.nat(),
      beforeRatio: share,
      gotRatio: share,
      costRatio: share,
      periodMs: share,
      effective: fc.constantFrom(true, false, null),
      expiresAtMs: fc.integer(),
    })
    .map(({ target, ...changes }) => targetExample(target, changes));
  const host = fc
    .record({
      host: fc.stringMatching(/^[a-z0-9.-]{1,80}$/),
      liveness: fc.constantFrom('alive', 'late', 'lost'),
      reports: fc.array(report, { maxLength: 6 }),
      brokenReports: fc.array(fc.record({ target: name, why: name }), { maxLength: 2 }),
      hold: fc.option(fc.record({ reason: name, by: name, sinceMs: fc.nat() })),
      hasStatus: fc.boolean(),
    })
    .map(({ host, reports, hasStatus, ...changes }) =>
      hostExample(host, reports, { ...changes, ...(hasStatus ? {} : { status: null }) }),
    );
  const state = fc.record({
    sort: fc.constantFrom(...COLUMN_IDS),
    isReversed: fc.boolean(),
    filter: fc.oneof(fc.constant(''), name),
    isTyping: fc.boolean(),
    first: fc.nat(20),
    skip: fc.nat(10),
    isPaused: fc.boolean(),
    isHelp: fc.boolean(),
  });

  test('has no line wider than the terminal, not more lines than it, and steers nothing, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(host, { maxLength: 3 }),
        state,
        fc.record({
          width: fc.oneof(fc.integer({ min: 40, max: 200 }), fc.integer({ min: 1, max: 40 })),
          height: fc.integer({ min: 1, max: 50 }),
        }),
        fc.record({
          failure: fc.option(name, { nil: undefined }),
          ageMs: fc.nat(),
          host: fc.constantFrom(undefined, 'web-1'),
        }),
        (hosts, changes, size, scene) => {
          const lines = draw(viewExample(hosts), { ...size, state: changes, scene, palette: COLOURS });
          expect(lines.length).toBeLessThanOrEqual(size.height);
          for (const line of lines) {
            expect(columnsOf(line)).toBeLessThanOrEqual(size.width);
            // biome-ignore lint/suspicious/noControlCharactersInRegex: our own colours are the only ones allowed
            expect(line.replace(/\u001b\[\d+m/g, '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([40, 60, 80, 100, 120, 160, 200])('of %i columns keeps what matters in sight', (width) => {
    const lines = draw(view, { width });
    const title = lines.find((line) => line.startsWith('HOST'))!;
    for (const id of ['host', 'target', 'state', 'got'] as const) expect(title).toContain(COLUMNS[id].title);
    expect(lines.some((line) => line.includes('user:alice'))).toBe(true);
    expect(lines).toHaveLength(24);
  });
});

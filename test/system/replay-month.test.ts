/**
 * A month of ten thousand accounts with known misbehaviour, through `hobbler policy replay` as an operator runs it: who
 * was slowed, when, for how long and how much is as the table says, and nobody else was. March in London, where the
 * 29th has 23 hours. Readings are running totals; the file lists them account by account, so they come out of order.
 */
import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const ACCOUNTS = 10_000;
const OF_EACH_KIND = 20;
const DAYS = 31;
const HOUR_MS = 3_600_000;
const FIRST_MS = Date.parse('2026-03-01T00:00:00Z');
const LAST_HOUR = DAYS * 24;
/** How often the calm are read, in hours; everybody else every hour. */
const CALM_EVERY = 8;

const POLICY = `producer:
  zone: Europe/London
  limits:
    day: { used: 2000, ladder: day }
    burst: { used: 600, window: { rolling: 2h }, ladder: burst }
  ladders:
    day: { levels: [{ runMs: 20, stopMs: 80 }], grace: 0s }
    burst:
      levels: [{ runMs: 50, stopMs: 50, for: 1h }, { runMs: 10, stopMs: 200, for: 4h }]
      lookback: 1d
      forgive: 6h
      grace: 5m
`;

const DAY = { runMs: 20, stopMs: 80, level: 1 };
const FIRST_BURST = { runMs: 50, stopMs: 50, level: 1 };
const SECOND_BURST = { runMs: 10, stopMs: 200, level: 2 };

interface Kind {
  /** CPU seconds in an hour of a day of March, UTC. */
  uses: (day: number, hour: number) => number;
  /** Hours after the month's first of which there is no reading. */
  unread?: (hour: number) => boolean;
  /** Hours at which its counter begins anew, as after a restart. */
  resets?: number[];
  /** `day hour` or `day hour:minute`, UTC, from and to, and how. */
  slowed: [from: string, to: string, how: typeof DAY][];
}

const two = (number: number) => String(number).padStart(2, '0');
const KINDS: Record<string, Kind> = {
  // 115 s an hour pass 2000 s in the eighteenth hour; out at midnight.
  once: { uses: (day) => (day === 10 ? 115 : 40), slowed: [['10 18', '11 00', DAY]] },
  // 250 s an hour from the twentieth on: over at 08:00, until midnight in London, which is 23:00 from the 29th on.
  daily: {
    uses: (day) => (day >= 20 ? 250 : 10),
    slowed: [
      ...Array.from({ length: 9 }, (_, n): Kind['slowed'][number] => [`${20 + n} 08`, `${two(21 + n)} 00`, DAY]),
      ['29 08', '29 23', DAY],
      ['30 07', '30 23', DAY],
      ['31 07', '31 23', DAY],
    ],
  },
  // 700 s in one hour: an hour at half speed; three hours later again: four hours at the next level.
  repeated: {
    uses: (day, hour) => (day === 5 && (hour === 8 || hour === 11) ? 700 : 5),
    slowed: [
      ['05 09', '05 10', FIRST_BURST],
      ['05 12', '05 16', SECOND_BURST],
    ],
  },
  // The second time is two days later, and begins at the first level again.
  forgiven: {
    uses: (day, hour) => ((day === 5 || day === 7) && hour === 8 ? 700 : 5),
    slowed: [
      ['05 09', '05 10', FIRST_BURST],
      ['07 09', '07 10', FIRST_BURST],
    ],
  },
  // Two bursts in a row, the second of which passes the day's limit as well. The harsher of the two counts, after the
  // grace that the first burst's end brings; and when it ends the milder one stays.
  both: {
    uses: (day, hour) => (day !== 12 ? 5 : hour < 7 ? 180 : hour < 9 ? 700 : 0),
    slowed: [
      ['12 08', '12 09', FIRST_BURST],
      ['12 09', '12 09:05', DAY],
      ['12 09:05', '12 13:05', SECOND_BURST],
      ['12 13:05', '13 00', DAY],
    ],
  },
  // Never over, and 8 s a day below it.
  edge: { uses: () => 83, slowed: [] },
  // Its counter goes backwards: no use at all, and certainly not a huge one.
  restarted: { uses: () => 40, resets: [270, 271, 500], slowed: [] },
  // Nobody knows on which of three days it used 5000 s.
  unheard: { uses: (day) => (day >= 8 && day < 11 ? 70 : 20), unread: (hour) => hour > 168 && hour < 246, slowed: [] },
};
const CALM: Kind = { uses: () => 40, slowed: [] };

const at = (text: string) => {
  const [day, hour, minute = 0] = text.split(/[ :]/).map(Number) as [number, number, number?];
  return FIRST_MS + ((day - 1) * 24 + hour + minute / 60) * HOUR_MS;
};

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-month-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** The lines of one account. */
function linesOf(account: string, { uses, unread = () => false, resets = [] }: Kind, everyHours: number): string {
  let total = 0;
  let text = '';
  for (let hour = 0; hour <= LAST_HOUR; hour++) {
    if (hour > 0) total += uses(Math.floor((hour - 1) / 24) + 1, (hour - 1) % 24);
    if (resets.includes(hour)) total = 0;
    if (hour % everyHours === 0 && !unread(hour))
      text += `{"account":"${account}","total":${total},"at":${FIRST_MS + hour * HOUR_MS}}\n`;
  }
  return text;
}

it('a month of 10,000 accounts comes out as the table says', { timeout: 300_000 }, async () => {
  const file = join(dir, 'march.jsonl');
  const out = createWriteStream(file);
  const expected: Record<string, unknown> = {};
  for (const [kind, { slowed, ...uses }] of Object.entries(KINDS))
    for (let n = 0; n < OF_EACH_KIND; n++) {
      out.write(linesOf(`${kind}-${n}`, { ...uses, slowed }, 1));
      if (slowed.length > 0)
        expected[`${kind}-${n}`] = slowed.map(([from, to, { runMs, stopMs, level }]) => ({
          fromMs: at(from),
          toMs: at(to),
          hobble: { runMs, stopMs, mechanism: 'auto' },
          level,
        }));
    }
  const others = ACCOUNTS - OF_EACH_KIND * Object.keys(KINDS).length;
  for (let n = 0; n < others; n++) out.write(linesOf(`calm-${n}`, CALM, CALM_EVERY));
  out.end();
  await finished(out);
  const config = join(dir, 'hobbler.yaml');
  writeFileSync(config, POLICY);

  const svg = join(dir, 'march.svg');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [CLI, '--config', config, 'policy', 'replay', file, '--speed', 'max', '--svg', svg, '--json'],
    { maxBuffer: 64 << 20 },
  );
  const told = JSON.parse(stdout);
  expect(told).toMatchObject({ accounts: ACCOUNTS, refused: 0, alerts: [] });
  expect(told.readings).toBeGreaterThan(1_000_000);
  const slowed = Object.fromEntries(
    told.slowed.map(({ account, spans }: { account: string; spans: unknown }) => [account, spans]),
  );
  expect(slowed).toEqual(expected);
  const picture = readFileSync(svg, 'utf8');
  expect(picture.startsWith('<svg ') && picture.endsWith('</svg>\n')).toBe(true);
  expect(picture.includes('daily-0: 20 of 100 ms for 16h')).toBe(true);
});

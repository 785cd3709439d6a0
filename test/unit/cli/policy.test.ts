/** `policy check` and `policy replay` on files: what they print, write, and end with. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, createCli } from '../../../cli/context.ts';
import { addPolicyCommands } from '../../../cli/policy.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-policy-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

async function hobbler(...args: string[]): Promise<{ code: number | undefined; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  let code: number | undefined;
  const cli: Cli = { ...createCli(args), out: (text) => out.push(text), note: (text) => err.push(text) };
  const program = new Command().option('--config <file>').exitOverride();
  addPolicyCommands(program, cli, (exitCode) => {
    code = exitCode;
  });
  await program.parseAsync(args, { from: 'user' });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('policy check', () => {
  it('says that a file is in order, and what in it can never come about', async () => {
    const file = write('a.yaml', 'producer: { limits: { a: { used: 5 }, b: { used: 5, window: { every: 30s } } } }');
    expect(await hobbler('policy', 'check', file)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/in order \(2 limits, 0 ladders, 0 groups, 0 accounts\)$/),
      err: expect.stringContaining('limits.b: its window is no longer than dwell'),
    });
  });

  it('says all that is wrong at once, each with its line', async () => {
    const file = write('b.yaml', 'producer:\n  limits:\n    a: { used: -1 }\n    b: { used: 5, ladder: steep }\n');
    await expect(hobbler('policy', 'check', file)).rejects.toThrow(
      /b\.yaml:3: producer\.limits\.a\.used: .*\n.*b\.yaml:4: producer\.limits\.b\.ladder: there is no ladder/,
    );
    await expect(hobbler('policy', 'check', join(dir, 'none'))).rejects.toThrow('cannot read it');
  });
});

describe('policy replay', () => {
  const config = 'producer: { limits: { default: { used: 2000 } } }';
  const line = (account: string, time: string, used: number) =>
    JSON.stringify({ account, used, at: `2025-11-24T${time}:00Z` });
  const lines = [line('alice', '10:00', 5), line('alice', '12:00', 2104), line('bob', '23:00', 7)];

  it('says who would have been slowed, when and why, and draws it', async () => {
    const readings = write('r.jsonl', `${lines.join('\n')}\n${line('bob', '23:59', 2500)}\n`);
    const svg = join(dir, 'r.svg');
    const { code, out } = await hobbler(
      '--config',
      write('c.yaml', config),
      'policy',
      'replay',
      readings,
      '--svg',
      svg,
    );
    expect(out.split('\n')).toEqual([
      '2025-11-24T12:00:00Z alice in, 10 of 210 ms: cpu 2104 s of 2000 s, until 00:00 UTC',
      '2025-11-24T23:59:00Z bob in, 10 of 210 ms: cpu 2500 s of 2000 s, until 00:00 UTC',
      '4 readings of 2 accounts; 2 slowed',
      '  alice: slowed once, for 11h59m',
      '  bob: slowed once, for 0s',
    ]);
    expect(code).toBe(0);
    expect(readFileSync(svg, 'utf8')).toContain('alice: 10 of 210 ms for 11h59m');
  });

  it('refuses lines one by one, as JSON too, and ends with 1', async () => {
    const bad = ['{nonsense', '{"account":"alice","used":1}', '', `${JSON.stringify({ account: 'a', at: 1 })}`];
    const readings = write('r.jsonl', [...lines, ...bad].join('\n'));
    const { code, out } = await hobbler('--config', write('c.yaml', config), 'policy', 'replay', '--json', readings);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      readings: 3,
      accounts: 2,
      refused: 3,
      refusals: [{ line: 4 }, { line: 5, why: 'reading.at: expected when it was taken' }, { line: 7 }],
      slowed: [{ account: 'alice', entries: 1 }],
    });
  });

  it('tells what the brake would have held', async () => {
    const crowd = Array.from({ length: 30 }, (_, n) => line(`user-${n}`, '12:00', 9999));
    const readings = write('r.jsonl', crowd.join('\n'));
    const { out } = await hobbler('--config', write('c.yaml', config), 'policy', 'replay', readings, '--quiet');
    expect(out).toContain('30 readings of 30 accounts; 0 slowed');
    expect(out).toContain('2025-11-24T12:00:00.000Z: the brake holds: 30 of 30 accounts');
  });

  it.each(['0', '-1', 'fast', ''])('a speed of %j is refused', async (speed) => {
    await expect(hobbler('policy', 'replay', 'x', '--speed', speed)).rejects.toThrow('not a speed');
  });
});

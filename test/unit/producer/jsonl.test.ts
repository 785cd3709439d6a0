/** JSON lines: cut, bounded, fed and counted. */
import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReadingInput } from '../../../producer/reading.ts';
import { feedReadings } from '../../../producer/sources/jsonl.ts';
import { HobblerError } from '../../../shared/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';

const clock = new FakeClock();
/** An intake that accepts what was parsed, and remembers it. */
function intake() {
  const accounts: string[] = [];
  const accept = async (inputs: readonly ReadingInput[]) => {
    const refused = inputs.flatMap((input, index) => ('refused' in input ? [{ index, why: input.refused }] : []));
    for (const input of inputs) if ('reading' in input) accounts.push(input.reading.account);
    return { accepted: inputs.length - refused.length, refused };
  };
  return { accounts, accept };
}
const line = (account: string) => `${JSON.stringify({ account, used: 1 })}\n`;

describe('JSON lines', () => {
  it('are fed line by line; a bad one is refused with its number and the rest goes on', async () => {
    const { accounts, accept } = intake();
    const text = `${line('a')}\nnonsense\n${line('b')}{"account":"c"}\r\n{"account":"d","used":2}`;
    const result = await feedReadings(Readable.from([text]), { accept, clock });
    expect(accounts).toEqual(['a', 'b', 'd']);
    expect(result).toMatchObject({ accepted: 3, refused: 2 });
    expect(result.refusals.map(({ line: number }) => number)).toEqual([3, 5]);
  });

  it('are the same however the bytes are cut', async () => {
    const bytes = Buffer.from(['ä', 'b😀', 'c'].map(line).join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        const { accounts, accept } = intake();
        await feedReadings(Readable.from(chunks, { objectMode: true }), { accept, clock });
        expect(accounts).toEqual(['ä', 'b😀', 'c']);
      }),
      { numRuns: 50 },
    );
  });

  it('a line without end is refused without being kept', async () => {
    const { accounts, accept } = intake();
    async function* endless() {
      for (let mebibyte = 0; mebibyte < 64; mebibyte++) yield Buffer.alloc(1 << 20, 'x');
      yield `\n${line('after')}`;
    }
    const before = process.memoryUsage().rss;
    const result = await feedReadings(endless(), { accept, clock });
    expect(process.memoryUsage().rss - before).toBeLessThan(256 << 20);
    expect(result).toMatchObject({ accepted: 1, refused: 1 });
    expect(accounts).toEqual(['after']);
  });

  it('do not wait for more of them: a pipe may bring one a minute', async () => {
    const own = new FakeClock();
    const { accounts, accept } = intake();
    const pipe = new PassThrough();
    const fed = feedReadings(pipe, { accept, clock: own });
    for (const account of ['a', 'b']) {
      pipe.write(line(account));
      await until(
        async () => {
          await own.advance(200);
          return accounts.includes(account);
        },
        { deadlineMs: 5_000, what: `${account} to be fed` },
      );
    }
    pipe.end(line('c'));
    expect(await fed).toMatchObject({ accepted: 3, refused: 0 });
    expect(accounts).toEqual(['a', 'b', 'c']);
  });

  it('what fails in between fails the whole', async () => {
    const own = new FakeClock();
    const pipe = new PassThrough();
    let tries = 0;
    const fed = feedReadings(pipe, {
      accept: async () => {
        tries++;
        throw new HobblerError('internal', 'broken');
      },
      clock: own,
    });
    pipe.write(line('a'));
    await until(
      async () => {
        await own.advance(200);
        return tries === 1;
      },
      { deadlineMs: 5_000, what: 'the first batch' },
    );
    pipe.end(line('b'));
    await expect(fed).rejects.toThrow('broken');
    expect(tries).toBe(1);
  });

  it('wait while Redis is away, and none is lost', async () => {
    const { accounts, accept } = intake();
    const said: string[] = [];
    let failures = 3;
    const fed = feedReadings(Readable.from([line('a'), line('b')]), {
      accept: async (inputs) => {
        if (failures-- > 0) throw new HobblerError('redis-unavailable', 'Redis is away');
        return accept(inputs);
      },
      clock,
      onWaiting: (why) => said.push(why),
    });
    await clock.advance(5_000);
    expect(await fed).toMatchObject({ accepted: 2, refused: 0 });
    expect(accounts).toEqual(['a', 'b']);
    expect(said).toEqual(['Redis is away']);
  });
});

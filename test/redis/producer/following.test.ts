/**
 * Followed files, on a real file system and with positions in a real Redis: through rotation by rename and by copying,
 * cut under the reader's hands, and across restarts, every line is taken, and no line twice unless that is said.
 */
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FollowedFile } from '../../../producer/sources/follow/followed-file.ts';
import { positionsInRedis } from '../../../producer/sources/follow/positions.ts';
import { HobblerError } from '../../../shared/errors.ts';
import { ledgerKeys } from '../../../shared/keys.ts';
import { createLogger } from '../../../shared/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';
import { ProducerFixture } from './producer-fixture.ts';

let producers: ProducerFixture;
let dir: string;
let path: string;
/** Accounts in the order in which they were fed, by all followers of a test. */
let fed: string[];
let lines: string[];
let followers: FollowedFile[];
beforeAll(async () => {
  producers = await ProducerFixture.open();
  await producers.redis.ping();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-follow-'));
  path = join(dir, 'usage.jsonl');
  [fed, lines, followers] = [[], [], []];
});
afterEach(async () => {
  for (const follower of followers) await follower.stop();
  await producers.clear();
  rmSync(dir, { recursive: true });
});
afterAll(() => producers.close());

const line = (...accounts: string[]) => accounts.map((account) => `${JSON.stringify({ account, used: 1 })}\n`).join('');

/** A producer's follower, started anew. */
function follow(failures: unknown[] = []): FollowedFile {
  const follower = new FollowedFile({
    path,
    positions: positionsInRedis(producers.redis, 'web-1', path),
    accept: async (inputs) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      const refused = inputs.flatMap((input, index) => ('refused' in input ? [{ index, why: input.refused }] : []));
      for (const input of inputs) if ('reading' in input) fed.push(input.reading.account);
      return { accepted: inputs.length - refused.length, refused };
    },
    clock: new FakeClock(),
    log: createLogger('test', 'info', { write: (text: string) => void lines.push(text) }),
  });
  followers.push(follower);
  return follower;
}
/** Looks until nobody can be writing to a renamed file any more. */
async function lookOften(follower: FollowedFile): Promise<void> {
  for (let n = 0; n < 12; n++) await follower.look();
}

describe('a followed file', () => {
  it('is read from its start, and on as it grows, by whole lines', async () => {
    writeFileSync(path, line('a', 'b'));
    const follower = follow();
    await follower.look();
    expect(fed).toEqual(['a', 'b']);
    appendFileSync(path, line('c') + line('d').slice(0, 9));
    await follower.look();
    expect(fed).toEqual(['a', 'b', 'c']);
    appendFileSync(path, line('d').slice(9));
    await follower.look();
    expect(fed).toEqual(['a', 'b', 'c', 'd']);
  });

  it('may come later', async () => {
    const follower = follow();
    await follower.look();
    writeFileSync(path, line('a'));
    await follower.look();
    expect(fed).toEqual(['a']);
  });

  it('with a bad line, or one without end, loses that line alone, and says so', async () => {
    writeFileSync(path, `${line('a')}nonsense\n\n${line('b')}`);
    appendFileSync(path, `"${'x'.repeat(600_000)}"\n${line('c')}`);
    const follower = follow();
    await follower.look();
    expect(fed).toEqual(['a', 'b', 'c']);
    expect(lines.join()).toContain('not JSON');
    expect(lines.join()).toContain('at most 16384 characters');
    expect(lines.join()).toContain('"refused":1');
  });

  it('is read in pieces that are never as large as the file', async () => {
    const accounts = Array.from({ length: 30_000 }, (_, n) => `account-${n}`);
    writeFileSync(path, line(...accounts));
    await follow().look();
    expect(fed).toEqual(accounts);
  });

  it('that is no file is said, once', async () => {
    path = dir;
    const follower = follow();
    await expect(follower.look()).rejects.toThrow('not a regular file');
  });

  it('waits while readings cannot be taken, and loses none', async () => {
    writeFileSync(path, line('a', 'b'));
    const clock = new FakeClock();
    let isAway = true;
    const follower = new FollowedFile({
      path,
      positions: positionsInRedis(producers.redis, 'web-1', path),
      accept: async (inputs) => {
        if (isAway) throw new HobblerError('redis-unavailable', 'Redis is away');
        fed.push(...inputs.flatMap((input) => ('reading' in input ? input.reading.account : [])));
        return { accepted: inputs.length, refused: [] };
      },
      clock,
      log: createLogger('test', 'info', { write: (text: string) => void lines.push(text) }),
    });
    followers.push(follower);
    const looked = follower.look();
    await until(() => lines.length === 1, { deadlineMs: 5_000, what: 'it to wait' });
    expect(fed).toEqual([]);
    isAway = false;
    await clock.advance(1_000);
    await looked;
    expect(fed).toEqual(['a', 'b']);
    expect(lines.join()).toContain('Redis is away');
  });
});

describe('rotation', () => {
  it('by rename: what the writer still writes into the old file is read, its last line too', async () => {
    writeFileSync(path, line('a'));
    const follower = follow();
    await follower.look();
    renameSync(path, `${path}.1`);
    appendFileSync(`${path}.1`, line('b'));
    await follower.look();
    writeFileSync(path, line('new'));
    await follower.look();
    appendFileSync(`${path}.1`, line('c') + line('d').trimEnd());
    appendFileSync(path, line('newer'));
    await lookOften(follower);
    expect(fed).toEqual(['a', 'b', 'new', 'c', 'newer', 'd']);
  });

  it('by copying and cutting: what was written between the last look and the cut is read from the copy', async () => {
    writeFileSync(path, line('a'));
    const follower = follow();
    await follower.look();
    appendFileSync(path, line('b'));
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    appendFileSync(path, line('c'));
    await lookOften(follower);
    expect([...fed].sort()).toEqual(['a', 'b', 'c']);
    expect(lines.join()).toContain('its copy is read to the end');
  });

  it('by cutting alone is seen even when the file has grown past the old position since', async () => {
    writeFileSync(path, line('a', 'b'));
    const follower = follow();
    await follower.look();
    writeFileSync(path, line('x', 'y', 'z'));
    await follower.look();
    expect(fed).toEqual(['a', 'b', 'x', 'y', 'z']);
    expect(lines.join()).toContain('no copy of it was found');
  });
});

describe('a producer that is started again', () => {
  it('goes on where the last one was', async () => {
    writeFileSync(path, line('a'));
    await follow().look();
    appendFileSync(path, line('b'));
    await follow().look();
    expect(fed).toEqual(['a', 'b']);
  });

  it('reads what was rotated away meanwhile, once or more often, in order, and then the file in place', async () => {
    writeFileSync(path, line('a'));
    await follow().look();
    appendFileSync(path, line('b'));
    renameSync(path, `${path}.2`);
    utimesSync(`${path}.2`, 1_764_000_000, 1_764_000_000);
    writeFileSync(`${path}.1`, line('c', 'd'));
    writeFileSync(path, line('e'));
    // Compressed, of another name, or a directory's: none of ours.
    for (const other of ['usage.jsonl.3.gz', 'usage.jsonlx', 'other.jsonl'])
      writeFileSync(join(dir, other), line('no'));
    await lookOften(follow());
    expect(fed).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('finds what was copied away meanwhile', async () => {
    writeFileSync(path, line('a'));
    await follow().look();
    appendFileSync(path, line('b'));
    copyFileSync(path, `${path}.1`);
    writeFileSync(path, line('c'));
    await lookOften(follow());
    expect([...fed].sort()).toEqual(['a', 'b', 'c']);
  });

  it('says what is gone for good, and reads the file in place', async () => {
    writeFileSync(path, line('a'));
    await follow().look();
    rmSync(path);
    writeFileSync(path, line('b', 'c'));
    await lookOften(follow());
    expect(fed).toEqual(['a', 'b', 'c']);
    expect(lines.join()).toContain('gone while nobody followed it');
  });

  it('takes up a file that it was still reading when its successor was there', async () => {
    writeFileSync(path, line('a'));
    const first = follow();
    await first.look();
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('new'));
    await first.look();
    appendFileSync(`${path}.1`, line('b'));
    await lookOften(follow());
    expect(fed).toEqual(['a', 'new', 'b']);
  });

  it('begins anew, which changes nothing, where its position cannot be read', async () => {
    writeFileSync(path, line('a'));
    await follow().look();
    await producers.redis.hset(ledgerKeys.followed, `web-1 ${path}`, '{"v":9}');
    await follow().look();
    expect(fed).toEqual(['a', 'a']);
  });
});

it('a producer follows the files of its config, and orders', async () => {
  writeFileSync(path, '');
  await producers.start({ sources: { http: false, follow: [path] } });
  appendFileSync(path, `${JSON.stringify({ account: 'alice', used: 2_104 })}\n`);
  await until(async () => (await producers.standing('*', 'user:alice'))?.action === 'tarpit', {
    deadlineMs: 10_000,
    what: 'an order',
  });
});

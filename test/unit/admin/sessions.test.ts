/** Sessions on a fake clock: idle and absolute limits, their bound, and where a login may lead. */
import { describe, expect, test } from 'vitest';
import { localPath } from '../../../admin/access/gate.ts';
import { ABSOLUTE_LIMIT_MS, IDLE_LIMIT_MS, Sessions, secretsMatch } from '../../../admin/access/sessions.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('sessions', () => {
  test('a token finds its session, and nothing else does', () => {
    const sessions = new Sessions(new FakeClock());
    const { token, session } = sessions.open('ann', 'operator');
    expect(sessions.find(token)).toBe(session);
    expect(sessions.find(undefined)).toBeNull();
    expect(sessions.find('')).toBeNull();
    expect(sessions.find(`${token}x`)).toBeNull();
    expect(JSON.stringify(session)).not.toContain(token);
  });

  test('two logins of one user have their own tokens, and their own CSRF tokens', () => {
    const sessions = new Sessions(new FakeClock());
    const [a, b] = [sessions.open('ann', 'operator'), sessions.open('ann', 'operator')];
    expect(a.token).not.toBe(b.token);
    expect(a.session.csrf).not.toBe(b.session.csrf);
    sessions.close(a.token);
    expect(sessions.find(a.token)).toBeNull();
    expect(sessions.find(b.token)).not.toBeNull();
  });

  test('one that nobody uses ends; use keeps it', async () => {
    const clock = new FakeClock();
    const sessions = new Sessions(clock);
    const { token } = sessions.open('ann', 'operator');
    await clock.advance(IDLE_LIMIT_MS - 1);
    expect(sessions.find(token)).not.toBeNull();
    await clock.advance(IDLE_LIMIT_MS);
    expect(sessions.find(token)).not.toBeNull();
    await clock.advance(IDLE_LIMIT_MS + 1);
    expect(sessions.find(token)).toBeNull();
  });

  test('a page that refreshes itself keeps nobody logged in', async () => {
    const clock = new FakeClock();
    const sessions = new Sessions(clock);
    const { token } = sessions.open('ann', 'operator');
    for (let waitedMs = 0; waitedMs <= IDLE_LIMIT_MS; waitedMs += 60_000) {
      expect(sessions.find(token, false)).not.toBeNull();
      await clock.advance(60_000);
    }
    expect(sessions.find(token, false)).toBeNull();
  });

  test('even one in use ends after a working day, time asleep included', async () => {
    const clock = new FakeClock();
    const sessions = new Sessions(clock);
    const { token } = sessions.open('ann', 'operator');
    for (let usedMs = 0; usedMs < ABSOLUTE_LIMIT_MS / 2; usedMs += IDLE_LIMIT_MS) {
      await clock.advance(IDLE_LIMIT_MS);
      expect(sessions.find(token)).not.toBeNull();
    }
    clock.suspend(ABSOLUTE_LIMIT_MS / 2 + 1);
    expect(sessions.find(token)).toBeNull();
  });

  test('their number is bounded: past it the one unused for longest ends', async () => {
    const clock = new FakeClock();
    const sessions = new Sessions(clock);
    const first = sessions.open('first', 'viewer');
    await clock.advance(1);
    const second = sessions.open('second', 'viewer');
    await clock.advance(1);
    sessions.find(first.token);
    for (let count = 2; count < 1_001; count++) sessions.open('many', 'viewer');
    expect(sessions.size).toBe(1_000);
    expect(sessions.find(first.token)).not.toBeNull();
    expect(sessions.find(second.token)).toBeNull();
  });
});

describe('secretsMatch', () => {
  test('takes equal text only, and no other type', () => {
    expect(secretsMatch('abc', 'abc')).toBe(true);
    for (const given of ['abd', 'ab', '', undefined, null, ['abc'], { 0: 'a' }]) {
      expect(secretsMatch(given, 'abc')).toBe(false);
    }
  });
});

describe('localPath', () => {
  test('a login leads to a page of this site only', () => {
    expect(localPath('/audit?host=web-1')).toBe('/audit?host=web-1');
    for (const next of [
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      '/a\nb',
      'javascript:x',
      undefined,
      ['/a'],
      `/${'a'.repeat(3000)}`,
    ]) {
      expect(localPath(next)).toBe('/');
    }
  });
});

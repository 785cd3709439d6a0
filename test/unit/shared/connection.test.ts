/** Redis URLs: what is loopback, what is refused, and that no password is ever shown. */
import { Writable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { HobblerError } from '../../../shared/errors.ts';
import { createLogger } from '../../../shared/log.ts';
import { connectRedis, hideSecrets, isLoopback, type Redis } from '../../../shared/redis/connection.ts';

describe('a Redis URL', () => {
  it.each([
    ['unix:///run/redis.sock', true],
    ['redis://127.0.0.1', true],
    ['redis://127.5.5.5:7000/2', true],
    ['redis://[::1]:6379', true],
    ['redis://localhost', true],
    ['redis://10.0.0.1', false],
    ['redis://127.0.0.1.example', false],
    ['redis://localhost.example', false],
    ['rediss://redis.example', false],
    ['redis://user:127.0.0.1@redis.example', false],
  ])('%s is reached from this machine alone: %s (a worker without keys starts on such a one only)', (url, expected) => {
    expect(isLoopback(url)).toBe(expected);
  });

  it.each<[string, RegExp]>([
    ['', /REDIS_URL: not a Redis URL; expected redis:\/\/HOST:PORT/],
    ['localhost:6379', /expected redis:\/\/, rediss:\/\/ or unix:\/\/; got "localhost:"/],
    ['http://localhost', /got "http:"/],
    ['redis://localhost/one', /expected a database number after the slash; got "\/one"/],
    ['redis://localhost/-1', /expected a database number/],
    ['redis://:50%@localhost', /with % \/ @ in a password written as %25 %2F %40; got "redis:\/\/:\*\*\*@localhost"/],
    ['redis://:se/cret@localhost', /got "redis:\/\/:\*\*\*@localhost"/],
  ])('%j is refused, and the message says how it is written', (url, message) => {
    expect(() => isLoopback(url)).toThrow(HobblerError);
    expect(() => isLoopback(url)).toThrow(message);
  });

  it.each([
    'redis://:secret@h:1',
    'redis://user:secret@h/1',
    'rediss://user:a@secret@h',
    'redis://:a/secret@h',
    'redis://:a:secret@h',
  ])('%s never shows its password', (url) => {
    expect(hideSecrets(url)).not.toContain('secret');
    expect(hideSecrets(url)).toMatch(/\*\*\*@h/);
  });
});

describe('a connection', () => {
  let redis: Redis | undefined;
  afterEach(() => redis?.disconnect());

  it('says once that Redis is away and once that it is back, also when the error has no text', () => {
    const lines: { level: number; msg: string; redis?: string }[] = [];
    const stream = new Writable({
      write(chunk, _, done) {
        lines.push(JSON.parse(chunk.toString()));
        done();
      },
    });
    redis = connectRedis({ url: 'unix:///nowhere/redis.sock', name: 'test' }, createLogger('test', 'info', stream));
    redis.disconnect(); // no tries of its own: the events below are what ioredis emits
    // What Node throws for `localhost` where neither 127.0.0.1 nor ::1 answers.
    for (let attempt = 0; attempt < 3; attempt++) redis.emit('error', new AggregateError([], ''));
    redis.emit('ready');
    redis.emit('ready');
    expect(lines.map((line) => line.msg)).toEqual(['Redis: cannot be reached', 'Redis is back']);
    expect(lines[0]!.redis).toBe('unix:///nowhere/redis.sock');
  });
});

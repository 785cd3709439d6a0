/** The life of services: started in order, stopped in reverse, within a bound, whatever goes wrong on the way. */
import { afterEach, describe, expect, it } from 'vitest';
import { sleep } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { runServices, type Service } from '../../../shared/service.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const clock = new FakeClock();
const log = silentLogger();
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

afterEach(() => {
  for (const signal of SIGNALS) expect(process.listenerCount(signal), `listeners of ${signal}`).toBe(0);
});

function recorded(events: string[], name: string, parts: Partial<Service> = {}): Service {
  return {
    name,
    start: async () => {
      events.push(`start ${name}`);
      await parts.start?.();
    },
    stop: async () => {
      events.push(`stop ${name}`);
      await parts.stop?.();
    },
  };
}

describe('runServices', () => {
  it.each(SIGNALS)('starts in order, and stops in reverse order on %s', async (signal) => {
    const events: string[] = [];
    const running = runServices([recorded(events, 'a'), recorded(events, 'b')], clock, log);
    await clock.advance(0);
    expect(events).toEqual(['start a', 'start b']);
    process.emit(signal, signal);
    expect(await running).toBe(0);
    expect(events.slice(2)).toEqual(['stop b', 'stop a']);
  });

  it('on SIGHUP reloads what can be reloaded, and goes on', async () => {
    const events: string[] = [];
    const reload = async () => void events.push('reload');
    const running = runServices([{ ...recorded(events, 'a'), reload }], clock, log);
    await clock.advance(0);
    process.emit('SIGHUP', 'SIGHUP');
    process.emit('SIGHUP', 'SIGHUP');
    await clock.advance(0);
    expect(events).toEqual(['start a', 'reload', 'reload']);
    process.emit('SIGTERM', 'SIGTERM');
    expect(await running).toBe(0);
  });

  it('on SIGHUP ends all where one of them cannot reload: its terminal has gone', async () => {
    const events: string[] = [];
    const reload = async () => void events.push('reload');
    const running = runServices([recorded(events, 'a'), { ...recorded(events, 'b'), reload }], clock, log);
    await clock.advance(0);
    process.emit('SIGHUP', 'SIGHUP');
    expect(await running).toBe(0);
    expect(events).not.toContain('reload');
  });

  it('ends when what it runs for is done', async () => {
    const events: string[] = [];
    expect(await runServices([recorded(events, 'a')], clock, log, Promise.resolve())).toBe(0);
    expect(events).toEqual(['start a', 'stop a']);
  });

  it('stops what was started when a start fails, and exits with 1', async () => {
    const events: string[] = [];
    const broken = recorded(events, 'b', { start: () => Promise.reject(new Error('port taken')) });
    expect(await runServices([recorded(events, 'a'), broken, recorded(events, 'c')], clock, log)).toBe(1);
    expect(events).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('starts nothing more when the signal comes during a start that hangs', async () => {
    const events: string[] = [];
    const hanging = recorded(events, 'a', { start: () => new Promise(() => {}) });
    const running = runServices([hanging, recorded(events, 'b')], clock, log);
    await clock.advance(0);
    process.emit('SIGTERM', 'SIGTERM');
    expect(await running).toBe(0);
    expect(events).toEqual(['start a', 'stop a']);
  });

  it('goes on stopping when one stop fails', async () => {
    const events: string[] = [];
    const broken = recorded(events, 'b', { stop: () => Promise.reject(new Error('no')) });
    expect(await runServices([recorded(events, 'a'), broken], clock, log, Promise.resolve())).toBe(0);
    expect(events).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('leaves behind what does not stop, within 2 s', async () => {
    const events: string[] = [];
    const stuck = recorded(events, 'a', { stop: () => sleep(clock, 3_600_000) });
    let exitCode: number | undefined;
    const running = runServices([stuck], clock, log, Promise.resolve()).then((code) => {
      exitCode = code;
    });
    await clock.advance(1_000);
    expect(exitCode).toBeUndefined();
    await clock.advance(1_000);
    await running;
    expect(exitCode).toBe(0);
  });
});

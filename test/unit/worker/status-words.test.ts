/** What a beat says besides its figures: pressure as the kernel writes it or null, and a host's exemptions, bounded. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusSchema } from '../../../shared/report.ts';
import { exemptionsOf, workerConfigSchema } from '../../../worker/config.ts';
import { parsePressure, readPressure } from '../../../worker/process/pressure.ts';
import { statusExample } from '../../support/reports.ts';

describe('pressure', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hobbler-pressure-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('is a share of the last 10 s', () => {
    const text =
      'some avg10=4.05 avg60=2.11 avg300=1.02 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
    expect(parsePressure(text)).toBeCloseTo(0.0405);
    expect(parsePressure('some avg10=100.00 avg60=1 avg300=1 total=1')).toBe(1);
  });

  it.each(['', 'full avg10=1.00 avg60=1', 'some avg10=x avg60=1', 'some avg60=1.00'])(
    'is not known from %j',
    (text) => {
      expect(parsePressure(text)).toBeNull();
    },
  );

  it('is null where the kernel does not say, and never zero', () => {
    expect(readPressure(root)).toEqual({ cpu: null, memory: null, io: null });
    mkdirSync(join(root, 'pressure'));
    writeFileSync(join(root, 'pressure', 'cpu'), 'some avg10=25.00 avg60=0.00 avg300=0.00 total=9\n');
    mkdirSync(join(root, 'pressure', 'io')); // a read of it fails
    expect(readPressure(root)).toEqual({ cpu: 0.25, memory: null, io: null });
  });
});

describe('exemptions in a status', () => {
  it('are those of the configuration', () => {
    const config = workerConfigSchema.parse({
      minUid: 500,
      exempt: { users: ['backup'], uids: ['61184-65519', 7], cgroups: ['/system.slice/'] },
    });
    expect(exemptionsOf(config)).toEqual({
      minUid: 500,
      users: ['backup', 'uid 61184-65519', 'uid 7'],
      groups: [],
      cgroups: ['/system.slice'],
      leftOut: 0,
    });
  });

  it('are the first of long lists, with how many more there are', () => {
    const users = Array.from({ length: 60 }, (_, n) => `user${n}`);
    const { users: named, leftOut } = exemptionsOf(
      workerConfigSchema.parse({ exempt: { users, groups: users, uids: [] } }),
    );
    expect(named).toEqual(users.slice(0, 50));
    expect(leftOut).toBe(20);
  });

  it('are unknown of a worker that does not say, and its status is read all the same', () => {
    const { exemptions: _, pressure: __, ...older } = statusExample('web-1', 1);
    expect(statusSchema.parse(older)).toMatchObject({ exemptions: null, pressure: { cpu: null } });
  });
});

/** The systemd units say what the code does: commands, directories, times and exit codes are held against each other. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../../cli/exit.ts';
import { readEnvironment } from '../../../shared/environment.ts';
import { defaultStateDir } from '../../../worker/state-dir.ts';
import { ROOT } from '../../support/sources.ts';
import { commandOf, readUnit, spanMs, UNIT_NAMES } from '../../support/units.ts';

const worker = readUnit('hobbler-worker.service');
const guard = readUnit('hobbler-guard.service');
const SERVICES = UNIT_NAMES.filter((name) => name.endsWith('.service')).map(readUnit);
const SPEAKING = SERVICES.filter((unit) => unit.one('Service.Type') === 'notify');

/** Within this every service ends after SIGTERM (README, and shared/service.ts). */
const ENDS_WITHIN_MS = 2_000;
/** After this long a silence the guard releases (guard.sh). */
const GUARD_ACTS_AFTER_MS = 3_000;

test('there is a unit for each service, and nothing else that systemd would take for one', () => {
  expect(UNIT_NAMES).toEqual([
    'hobbler-admin.service',
    'hobbler-guard.service',
    'hobbler-producer.service',
    'hobbler-worker.service',
    'hobbler.slice',
  ]);
  expect(SPEAKING.map(({ name }) => name)).toEqual(UNIT_NAMES.filter((name) => /admin|producer|worker/.test(name)));
});

test('the state directory is the one that root gets without saying so, kept over restarts and closed to others', () => {
  const asRoot = '/run/hobbler';
  if (process.getuid?.() === 0) expect(defaultStateDir(readEnvironment({}))).toBe(asRoot);
  for (const unit of [worker, guard]) {
    expect(`/run/${unit.one('Service.RuntimeDirectory')}`).toBe(asRoot);
    expect(unit.one('Service.RuntimeDirectoryMode')).toBe('0700');
    expect(unit.one('Service.RuntimeDirectoryPreserve')).toBe('yes');
    for (const key of ['Service.ExecStart', 'Service.ExecStopPost'])
      expect(commandOf(unit, key, '/elsewhere').args).toContain('/elsewhere');
  }
});

test.each(['ExecStart', 'ExecStartPre', 'ExecStopPost'])(
  '%s of the guard is its script, and so is what the worker leaves behind',
  (key) => {
    for (const unit of [guard, ...(key === 'ExecStopPost' ? [worker] : [])]) {
      const { program, args } = commandOf(unit, `Service.${key}`, '/run/hobbler');
      expect(program).toBe('/bin/bash');
      expect(args[0]).toBe(join(ROOT, 'worker/guard/guard.sh'));
      expect(existsSync(args[0]!)).toBe(true);
      expect(args.slice(1)).toEqual([key === 'ExecStart' ? 'watch' : 'release', '/run/hobbler']);
    }
  },
);

test('the release after a stop runs outside of the sandbox, so that no mistake in it is in its way', () => {
  for (const unit of [worker, guard]) expect(unit.one('Service.ExecStopPost')).toMatch(/^\+/);
});

describe('the worker', () => {
  test('has a guard outside of its cgroup, which comes and goes with it', () => {
    expect(worker.one('Service.ExecStart')).toContain(' worker --guard external');
    expect(worker.settings.get('Unit.After')).toContain('hobbler-guard.service');
    // With Requires=, the stop of the bound guard would cancel the worker's own restart.
    expect(worker.settings.get('Unit.Wants')).toContain('hobbler-guard.service');
    expect(worker.settings.has('Unit.Requires')).toBe(false);
    expect(guard.one('Unit.BindsTo')).toBe(worker.name);
  });

  test('is given up by the watchdog after the guard has had its turn, and killed for certain', () => {
    expect(spanMs(worker.one('Service.WatchdogSec'))).toBeGreaterThan(2 * GUARD_ACTS_AFTER_MS);
    expect(worker.one('Service.WatchdogSignal')).toBe('SIGKILL');
    expect(worker.one('Service.KillMode')).toBe('control-group');
    expect(worker.settings.get('Service.SendSIGKILL') ?? []).toEqual([]);
  });

  test('keeps what hobbling needs', () => {
    const kept = {
      ProtectControlGroups: 'no',
      ProtectProc: 'default',
      MemoryDenyWriteExecute: 'no',
      RestrictRealtime: 'no',
    };
    for (const [key, value] of Object.entries(kept)) expect(worker.one(`Service.${key}`)).toBe(value);
    for (const key of ['PrivatePIDs', 'PrivateUsers', 'ProcSubset', 'User', 'DynamicUser'])
      expect(worker.settings.has(`Service.${key}`), key).toBe(false);
    const capabilities = worker.one('Service.CapabilityBoundingSet').split(' ');
    expect(capabilities).toEqual(['CAP_KILL', 'CAP_DAC_OVERRIDE', 'CAP_SYS_PTRACE', 'CAP_SYS_NICE']);
    expect(guard.one('Service.CapabilityBoundingSet').split(' ')).toEqual(capabilities.slice(0, 3));
  });
});

test.each(SPEAKING.map((unit) => [unit.name, unit] as const))(
  '%s is started again, but not for a config that is wrong, and may take its time to end',
  (_, unit) => {
    expect(unit.one('Service.Restart')).toBe('always');
    expect(unit.one('Unit.StartLimitIntervalSec')).toBe('0');
    expect(unit.one('Service.RestartPreventExitStatus')).toBe(String(EXIT.usage));
    expect(spanMs(unit.one('Service.TimeoutStopSec'))).toBeGreaterThan(2 * ENDS_WITHIN_MS);
    // bin/hobbler.js may have started the Node that speaks.
    expect(unit.one('Service.NotifyAccess')).toBe('all');
  },
);

test('no unit sets a variable that hobbler does not read', () => {
  const names = [...readFileSync(join(ROOT, 'shared/environment.ts'), 'utf8').matchAll(/text\('([A-Z_]+)'\)/g)];
  const read = new Set(names.map(([, name]) => name));
  const set = SERVICES.flatMap((unit) => unit.settings.get('Service.Environment') ?? []);
  expect(set.length).toBeGreaterThan(0);
  for (const line of set) expect(read).toContain(line.split('=')[0]);
});

test('every credential that a unit loads is used in it', () => {
  for (const unit of SERVICES) {
    const loaded = (unit.settings.get('Service.LoadCredential') ?? []).map((line) => line.split(':')[0]);
    const used = (unit.settings.get('Service.Environment') ?? []).filter((line) => line.includes('=%d/'));
    expect(used.map((line) => line.split('=%d/')[1]).toSorted()).toEqual(loaded.toSorted());
  }
});

test('no service that hobbles nothing has a privilege', () => {
  for (const unit of SPEAKING.filter(({ name }) => name !== worker.name)) {
    expect(unit.one('Service.CapabilityBoundingSet')).toBe('');
    expect(unit.one('Service.DynamicUser')).toBe('yes');
  }
});

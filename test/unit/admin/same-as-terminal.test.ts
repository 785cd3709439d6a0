/** The page and `hobbler status` find the same things wrong: who looks at one of them has seen what the other shows. */
import { describe, expect, test } from 'vitest';
import { attentionFor } from '../../../admin/fleet/attention.ts';
import { problemsOf } from '../../../cli/problems.ts';
import type { HostView } from '../../../shared/redis/fleet.ts';
import { fleetExample, hostExample, NOW_MS, reportExample, statusExample } from './examples.ts';

const CASES: [string, Partial<HostView>][] = [
  ['all is well', {}],
  ['a host that is late', { liveness: 'late' }],
  [
    'a host that is lost, whatever it said of its targets',
    { liveness: 'lost', reports: [reportExample({ state: 'denied' })] },
  ],
  ['a host that never beat', { liveness: 'lost', status: null, reports: [] }],
  ['a dead guard', { status: statusExample({ guard: 'dead' }) }],
  ['no effect', { reports: [reportExample({ effective: false })] }],
  ['a target that is denied', { reports: [reportExample({ state: 'denied' })] }],
  ['a target that is unsupported', { reports: [reportExample({ state: 'unsupported' })] }],
  ['a target that is refused', { reports: [reportExample({ state: 'refused' })] }],
  [
    'a target that is spared, or held',
    { reports: [reportExample({ state: 'held' }), reportExample({ state: 'spared' })] },
  ],
  ['a report that cannot be read', { brokenReports: [{ target: 'user:x', why: 'not JSON' }] }],
  ['a status that cannot be read', { status: null, broken: 'not JSON', liveness: 'lost' }],
];

describe('page and terminal agree', () => {
  test.each(CASES)('about %s', (_, changes) => {
    const hosts = [hostExample(changes), hostExample({ host: 'web-2' })];
    const onPage = attentionFor(fleetExample({ hosts })).length > 0;
    const inTerminal = problemsOf({ nowMs: NOW_MS, hold: null, hosts }).length > 0;
    expect(onPage).toBe(inTerminal);
  });
});

/** A host's page: its state and why, its targets, a target's processes as a tree, last orders, exemptions; and nothing hostile as markup. */
import { describe, expect, test } from 'vitest';
import { type HostPageView, hostPage, hostParts } from '../../../admin/views/host-page.ts';
import { linesOf } from '../../../admin/views/tree-table.ts';
import type { TreeProcess } from '../../../shared/trees.ts';
import { fleetExample, HOSTILE, hostExample, NOW_MS, reportExample, statusExample } from './examples.ts';

const words = (markup: string) => markup.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');

function process(pid: number, ppid: number, changes: Partial<TreeProcess> = {}): TreeProcess {
  return {
    ...{ pid, ppid, startTicks: pid, comm: `job-${pid}`, state: 'S', uid: 1_001 },
    ...{ cpuMs: 2_500, shareRatio: 0.05, spared: null },
    ...changes,
  };
}

function view(changes: Partial<HostPageView> = {}): HostPageView {
  return {
    answer: { redis: 'here', fleet: fleetExample() },
    host: 'web-1',
    target: null,
    look: null,
    entries: [],
    page: 1,
    mayAct: true,
    ...changes,
  };
}

const text = (changes: Partial<HostPageView> = {}) => words(hostPage(view(changes)).toString());
const withTree = (processes: TreeProcess[], leftOut = 0): Partial<HostPageView> => ({
  target: 'user:alice',
  look: { tree: { target: 'user:alice', processes, leftOut }, atMs: NOW_MS - 1_000 },
});

describe('a host’s page', () => {
  test('says how the host is and what it costs there, what it can do and why, and whom it never hobbles', () => {
    const page = text();
    for (const said of [
      ...[
        'alive',
        'last beat 2s ago',
        '3.42',
        '8 cores',
        '18 %',
        'disk –',
        '1.2 %',
        '96 MiB',
        '33 stops/s',
        'up 1d 00h',
      ],
      ...['quota does not work no cpu controller', 'signal works CAP_KILL'],
      ...['uids below 1000', 'backup', 'staff', '/system.slice'],
      ...['alice', 'hobbling', '5.1 %'],
    ]) {
      expect(page).toContain(said);
    }
  });

  test('shows last orders with what came of them', () => {
    const fields = {
      action: 'tarpit',
      target: 'user:alice',
      account: 'alice',
      version: '7',
      by: 'policy',
      reason: 'over',
    };
    const result = '{"status":"denied","why":"su (pid 812) stops with its child"}';
    const page = hostPage(
      view({ entries: [{ id: '1-0', atMs: NOW_MS - 5_000, fields: { ...fields, result } }] }),
    ).toString();
    expect(words(page)).toContain('5s ago');
    expect(words(page)).toContain('su (pid 812) stops with its child');
    expect(page).toContain('href="/accounts/alice"');
    expect(page).toContain('version=7');
  });

  test('shows a target’s processes as a tree, with states, and why one is not hobbled', () => {
    const tree = [
      process(10, 1, { state: 'R' }),
      process(11, 10, { state: 'T' }),
      process(12, 11, { spared: 'exempt' }),
    ];
    const page = text(withTree(tree, 3));
    expect(page).toContain('job-10 10 running');
    expect(page).toContain('job-11 11 , child of 10 stopped');
    expect(page).toContain('no exempt');
    expect(page).toContain('3 more are not shown');
    expect(page).toContain('As the worker saw them 1s ago');
  });

  test.each([
    [{ target: 'user:alice', look: { tree: null, atMs: null } }, 'Asking the worker of web-1'],
    [{ target: 'user:alice', look: { tree: null, atMs: NOW_MS } }, 'no loop for this target now'],
    [withTree([]), 'No process now.'],
  ] as const)('says what it means where there is no process to show (%#)', (changes, said) => {
    expect(text(changes)).toContain(said);
  });

  test('of a lost host asks nobody, and says so', () => {
    const fleet = fleetExample({ hosts: [hostExample({ liveness: 'lost' })] });
    const page = text({ answer: { redis: 'here', fleet }, target: 'user:alice', look: null });
    expect(page).toContain('web-1 does not answer now.');
  });

  test('of a host that never beat says what to do', () => {
    const fleet = fleetExample({ hosts: [hostExample({ status: null, reports: [] })] });
    const page = text({ answer: { redis: 'here', fleet } });
    expect(page).toContain('hobbler doctor');
    expect(page).toContain('Nobody is in the tarpit on web-1.');
    expect(page).toContain('its worker is older');
    expect(page).not.toMatch(/NaN|undefined|null/);
  });

  test('gives a viewer nothing to press', () => {
    expect(hostPage(view({ mayAct: false })).toString()).not.toMatch(/href="\/(release|hold|unhold)/);
    expect(hostPage(view()).toString()).toContain('href="/hold?host=web-1"');
  });

  test('says that the host was removed while somebody looks, and that Redis is away', () => {
    const gone = hostParts(view({ answer: { redis: 'here', fleet: fleetExample({ hosts: [] }) } }));
    expect(words(gone.map(({ before }) => before).join(''))).toContain('in no list of hosts any more');
    const away = text({
      answer: { redis: 'away', why: 'x', last: { fleet: fleetExample(), ageMs: 9_000 } },
      entries: null,
    });
    expect(away).toContain('Redis is away');
    expect(away).toContain('alice');
  });

  test('lets no hostile text become markup', () => {
    const exemptions = { minUid: 1, users: [HOSTILE], groups: [HOSTILE], cgroups: [HOSTILE], leftOut: 0 };
    const status = statusExample({ exemptions, mechanisms: { [HOSTILE]: { supported: true, why: HOSTILE } } });
    const report = reportExample({ target: HOSTILE, account: HOSTILE, reason: HOSTILE });
    const fleet = fleetExample({ hosts: [hostExample({ host: HOSTILE, status, reports: [report] })] });
    const fields = {
      action: HOSTILE,
      target: HOSTILE,
      account: HOSTILE,
      by: HOSTILE,
      reason: HOSTILE,
      result: HOSTILE,
    };
    const markup = hostPage(
      view({
        ...{ answer: { redis: 'here', fleet }, host: HOSTILE, target: HOSTILE },
        look: {
          tree: {
            target: HOSTILE,
            processes: [process(1, 0, { comm: HOSTILE, state: HOSTILE, spared: HOSTILE })],
            leftOut: 0,
          },
          atMs: 1,
        },
        entries: [{ id: HOSTILE, atMs: 1, fields }],
      }),
    ).toString();
    expect(markup).not.toMatch(/<script>|<img src=x|onerror=alert\(2\)>/);
    expect(markup.replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*alert/);
  });
});

describe('a tree of processes', () => {
  const shape = (...processes: TreeProcess[]) =>
    linesOf(processes).map(({ pid, depth }) => `${'-'.repeat(depth)}${pid}`);

  test('puts each before its children, siblings by pid, whatever the order was', () => {
    expect(shape(process(30, 10), process(12, 10), process(10, 1), process(13, 12), process(5, 1))).toEqual([
      ...['10', '-12', '--13', '-30'],
      '5',
    ]);
  });

  test('ends on a cycle, and leaves nobody out', () => {
    expect(shape(process(10, 11), process(11, 10), process(12, 12)).toSorted()).toEqual(['10', '11', '12']);
  });
});

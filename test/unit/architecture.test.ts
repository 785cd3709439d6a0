/**
 * The shape of the code, checked: which folder may import which, which file may do what is dangerous, and how files
 * look. To allow something new, edit the tables below, and say why in the same line. A failure names the file, the
 * line, and the reason for the rule.
 */
import { describe, expect, it } from 'vitest';
import { codeLines, importsOf, readSources, type Source } from '../support/sources.ts';

const FOLDERS = ['shared', 'client', 'producer', 'worker', 'admin', 'cli', 'demo', 'bench'];
const sources = readSources(FOLDERS, ['.ts']);

/** Which top-level folders a folder may import from. Itself always; `cli.ts` and what is not listed: all of them. */
const MAY_IMPORT: Record<string, { from: string[]; why: string }> = {
  shared: { from: [], why: 'shared/ is what two of the others need; it must not need them' },
  client: {
    from: ['shared'],
    why: 'the client runs in programs of other people, which get no part of a producer with it',
  },
  producer: { from: ['shared'], why: 'the producer decides and knows no pids, signals or cgroups of a host' },
  worker: { from: ['shared'], why: 'the worker acts and knows no usage policy; orders reach it by Redis alone' },
  admin: { from: ['shared'], why: 'admin shows, and acts by orders like everybody else' },
};

interface Door {
  danger: string;
  pattern: RegExp;
  /** Code that the pattern must catch: a rule that catches nothing guards nothing. */
  example: string;
  /** The files, or folders ending in `/`, that may. */
  may: string[];
  /** The folders it is about; all when left out. */
  within?: string[];
  why: string;
}

/** One door for each danger. */
const DOORS: Door[] = [
  {
    danger: 'sending signals',
    pattern: /\bprocess\.kill\b/,
    example: "process.kill(pid, 'SIGSTOP')",
    may: [
      'worker/process/signals.ts',
      'worker/process/ending.ts', // ends what hobbler itself started
      'cli/top/screen.ts', // stops its own job for a Ctrl-Z, since a raw terminal sends no signal
    ],
    why: 'invariants 4 and 5: one place checks that a pid is still who it was, and that nobody who matters is stopped',
  },
  {
    danger: 'calling the C library',
    pattern: /['"]koffi['"]/,
    example: "createRequire(import.meta.url)('koffi')",
    may: ['worker/process/pidfd.ts', 'shared/systemd.ts' /* a datagram on a Unix socket */],
    why: 'a wrong prototype writes anywhere in our memory, as root; and each call needs a way to do without',
  },
  {
    danger: 'reading /proc',
    pattern: /['"`]\/proc(?=[/'"`])/,
    example: 'readFileSync(`/proc/$' + '{pid}/stat`)',
    may: [
      'worker/process/',
      'shared/clock.ts', // the boot id
      'bench/cgroups.ts', // looks from outside, and not by the code that it measures
      'bench/memory.ts',
      'bench/scratch.ts',
    ],
    why: 'one parser survives hostile command names, zombies and vanishing processes, and tests inject its root',
  },
  {
    danger: 'touching cgroups',
    pattern:
      /\/sys\/fs\/cgroup|['"`/](?:cgroup\.(?:freeze|procs|kill|subtree_control)|freezer\.state|cpu\.max|cpu\.cfs_quota_us)\b/,
    example: "writeFileSync(join(path, 'cgroup.freeze'), '1')",
    may: ['worker/cgroups/', 'bench/cgroups.ts' /* accounts in cgroups of its own */],
    why: 'a wrong write freezes the worker itself, or leaves a group frozen that nobody releases',
  },
  {
    danger: 'starting programs',
    pattern: /['"](?:node:)?child_process['"]/,
    example: "import { spawn } from 'node:child_process';",
    within: ['worker', 'producer', 'admin', 'shared'],
    may: [
      'worker/guard/',
      'worker/users.ts', // getent
      'worker/state-dir.ts', // flock
      'worker/doctor.ts', // a child to try permissions on
      'worker/priority.ts', // chrt
      'shared/redis/server.ts', // a private Redis
      'shared/systemd.ts', // systemd-notify, where koffi is missing
    ],
    why: 'a child outlives its parent, inherits its privileges and blocks its loop: each one needs an end and a bound',
  },
  {
    danger: 'reading the environment',
    pattern: /\bprocess\.env\b/,
    example: 'process.env.REDIS_URL',
    may: ['shared/environment.ts'],
    why: 'every variable stands in one list with its meaning, and a component gets values and not surroundings',
  },
  {
    danger: 'connecting to Redis',
    pattern: /['"]ioredis['"]/,
    example: "import { Redis } from 'ioredis';",
    may: ['shared/redis/connection.ts'],
    why: 'one place owns names, limits and retries of connections, and hides passwords',
  },
  {
    danger: 'using BullMQ',
    pattern: /['"]bullmq['"]/,
    example: "import { Queue } from 'bullmq';",
    may: [
      'shared/queue.ts',
      'producer/webhooks/queue.ts' /* a queue of another kind, with retries that mean something */,
    ],
    why: 'lock and stall times must be alike on every worker, and its close() can wait for ever',
  },
  {
    danger: 'asking the time, or waiting',
    pattern: /\b(?:Date\.now|performance\.now|setTimeout|setInterval)\b|\bnew Date\(\)|node:timers/,
    example: 'setTimeout(release, 200)',
    may: ['shared/clock.ts'],
    why: 'tests advance a clock, and wall, monotonic and boot time are never mixed (invariant 2)',
  },
];

/** Files that may be longer than the limit, with the reason. */
const LONG: Record<string, string> = {};
const MAX_LINES = 400;
const FORBIDDEN_NAME = /^(?:utils?|helpers?|managers?|common|misc|lib|index)\.ts$|-(?:utils?|helpers?|manager)\.ts$/;

const folderOf = (path: string) => path.split('/')[0]!;
const isWithin = (path: string, places: readonly string[]) =>
  places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));

it('the sources are found', () => {
  expect(sources.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['shared/order.ts', 'shared/keys.ts', 'cli.ts']),
  );
});

describe('imports', () => {
  it.each(Object.entries(MAY_IMPORT))('of %s/ go where they may', (folder, { from, why }) => {
    const faults = sources
      .filter(({ path }) => folderOf(path) === folder)
      .flatMap((source) => foreignImports(source, [folder, ...from]));
    expect(faults, `${folder}/ may import ${['itself', ...from].join(' and ')} alone: ${why}`).toEqual([]);
  });

  it('of tests are not in the sources', () => {
    const faults = sources.flatMap((source) => importsOf(source).filter((path) => folderOf(path) === 'test'));
    expect(faults).toEqual([]);
  });

  it('are seen however they are written', () => {
    const text =
      "import a from '../worker/a.ts';\nexport {\n  b,\n} from '../worker/b.ts';\nawait import('../worker/c.ts');\nimport type { D } from '../worker/d.ts';\nimport '../worker/e.ts';";
    const source = { path: 'producer/x.ts', text, lines: 1 };
    expect(foreignImports(source, ['producer', 'shared'])).toHaveLength(5);
  });
});

describe('one door', () => {
  it.each(DOORS.map((door) => [door.danger, door] as const))('for %s', (_, { pattern, may, within = FOLDERS, why }) => {
    const faults = sources
      .filter(({ path }) => (within.includes(folderOf(path)) || path === 'cli.ts') && !isWithin(path, may))
      .flatMap(({ path, text }) =>
        codeLines(text)
          .filter(({ code }) => pattern.test(code))
          .map(({ number, code }) => `${path}:${number}: ${code.trim()}`),
      );
    expect(faults, `only ${may.join(', ')} may: ${why}`).toEqual([]);
  });

  it.each(DOORS)('for $danger is watched: the rule catches its example, and not a comment', ({ pattern, example }) => {
    expect(codeLines(example).filter(({ code }) => pattern.test(code))).toHaveLength(1);
    expect(codeLines(`/** ${example} */\n * ${example}\n  // ${example}`)).toEqual([]);
  });
});

describe('a file', () => {
  const all = [...sources, ...readSources(['test'], ['.ts']).filter(({ path }) => folderOf(path) === 'test')];
  const scripts = readSources([...FOLDERS, 'test'], ['.lua', '.sh']);

  it(`is not longer than ${MAX_LINES} lines: past that it is two things`, () => {
    expect(all.filter(({ path, lines }) => lines > MAX_LINES && !(path in LONG)).map(describeLength)).toEqual([]);
  });

  it('is named for what it owns, and there is no barrel', () => {
    expect(all.map(({ path }) => path).filter((path) => FORBIDDEN_NAME.test(path.split('/').at(-1)!))).toEqual([]);
  });

  it('opens by saying what it owns', () => {
    const silent = all.filter(({ text }) => !/^(?:#!.*\n)?\s*\/\*\*/.test(text)).map(({ path }) => path);
    expect(silent, 'a source opens with a doc comment: what it owns, what it must never do').toEqual([]);
    expect(scripts.filter(({ text }) => !/^(?:#!.*\n)?(?:--|#) /.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

function foreignImports(source: Source, allowed: readonly string[]): string[] {
  return importsOf(source)
    .filter((path) => (FOLDERS.includes(folderOf(path)) || path === 'cli.ts') && !allowed.includes(folderOf(path)))
    .map((path) => `${source.path} imports ${path}`);
}

function describeLength({ path, lines }: Source): string {
  return `${path}: ${lines} lines`;
}

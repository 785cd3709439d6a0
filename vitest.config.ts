import { defineConfig } from 'vitest/config';

// Five lanes (docs/architecture.md, "Tests"). Everything but `unit` starts real parts, so those lanes run one file
// at a time: two files that each fill both cores would measure each other.
const lane = (name: string, testTimeout: number, parallel: boolean) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: 60_000,
    fileParallelism: parallel,
    sequence: { groupOrder: ['unit', 'redis', 'linux', 'system', 'faults'].indexOf(name) },
  },
});

export default defineConfig({
  test: {
    projects: [
      lane('unit', 10_000, true),
      lane('redis', 30_000, false),
      lane('linux', 60_000, false),
      lane('system', 120_000, false),
      lane('faults', 900_000, false),
    ],
  },
});

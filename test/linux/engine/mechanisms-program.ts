/**
 * A hobbler in a process of its own, to be killed: hobbles the targets of its arguments and says when. Arguments: a state
 * directory, then JSON of [target, mechanism, runMs, stopMs] for each.
 */
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { parseTarget } from '../../../shared/target.ts';
import { NO_BRAKE } from '../../../worker/engine/brake.ts';
import { HobblerHost } from '../../../worker/host.ts';

const [stateDir, ...orders] = process.argv.slice(2);
const host = new HobblerHost({
  stateDir: stateDir!,
  guard: 'spawn',
  rules: { minUid: 0, exemptUids: new Set(), exemptGids: new Set(), exemptCgroups: [], onlyUid: null },
  bounds: { loops: 100, processesPerTarget: 100 },
  brake: NO_BRAKE,
  budget: { cpuRatio: 1, maxPeriodMs: 1_000 },
  clock: systemClock,
  log: silentLogger(),
  events: { onChange: () => {}, onEnd: () => {}, onGap: async () => {} },
});
await host.start();
for (const order of orders) {
  const [target, mechanism, runMs, stopMs] = JSON.parse(order);
  const outcome = host.engine.tarpit(parseTarget(target), { cycle: { runMs, stopMs }, every: true, mechanism });
  if (outcome.status !== 'applied') throw new Error(`${target}: ${outcome.status}, ${outcome.why}`);
}
console.log('ready');

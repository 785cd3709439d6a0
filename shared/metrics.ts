/**
 * What every service's metrics have in common: its version, its own cost, and figures that are asked for when a scraper
 * comes. One registry per service, nothing global. What is not known has no sample, rather than a zero (invariant 9).
 * Not prom-client's default metrics: they watch the event loop with a timer of their own, a hundred times a second.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { HOBBLER_VERSION } from './version.ts';

/** By label value; an absent key is an unknown. */
export type Labelled = Readonly<Record<string, number>>;

export function openRegistry(service: string): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'hobbler_build_info',
    help: 'Always 1; the version is a label.',
    labelNames: ['service', 'version'],
    registers: [registry],
  }).set({ service, version: HOBBLER_VERSION }, 1);
  addTotal(registry, 'process_cpu_seconds_total', 'CPU time that this process has used.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  addFigure(registry, 'process_resident_memory_bytes', 'Memory of this process.', () => process.memoryUsage.rss());
  return registry;
}

/** A gauge that is asked for at each scrape; null: not known, no sample. */
export function addFigure(registry: Registry, name: string, help: string, ask: () => number | null): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      const value = ask();
      if (value === null) this.remove();
      else this.set(value);
    },
  });
}

/** A gauge with one label that is asked for at each scrape. */
export function addFigures(registry: Registry, name: string, help: string, label: string, ask: () => Labelled): void {
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, value] of Object.entries(ask())) this.set({ [label]: key }, value);
    },
  });
}

/** A counter whose total is kept elsewhere. */
export function addTotal(registry: Registry, name: string, help: string, ask: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(ask());
    },
  });
}

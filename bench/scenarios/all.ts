/** Every scenario, in the order of the page. */
import type { Scenario } from '../scenario.ts';
import { adminPages } from './admin-pages.ts';
import { busy } from './busy.ts';
import { bystander } from './bystander.ts';
import { fleetIdle } from './fleet-idle.ts';
import { groups } from './groups.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { lateness } from './lateness.ts';
import { mostlyIdle } from './mostly-idle.ts';
import { throughput } from './throughput.ts';

export const SCENARIOS: readonly Scenario[] = [
  idle,
  mostlyIdle,
  groups,
  busy,
  lateness,
  bystander,
  latency,
  throughput,
  fleetIdle,
  adminPages,
];

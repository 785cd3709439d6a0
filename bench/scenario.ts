/**
 * What a scenario is to the rest of the bench: some cases that are measured side by side, round by round, and a pure
 * function that makes their section of the page. Each file under scenarios/ is one.
 *
 *   open ──► cases ──► measured once per round, in an order of chance ──► samples ──► render ──► section of the page
 */

import type { ScenarioResult } from './results.ts';
import type { Workbench } from './workbench.ts';

export interface Scenario {
  /** As given to --scenario; also the name of its plots. */
  readonly name: string;
  readonly title: string;
  /** What is measured and how, Markdown, for the page. */
  readonly about: string;
  /** The number of targets that its goals are about, where they do not name it: with fewer, none is judged. */
  readonly fullSize?: number;
  /** What it takes with the default settings, seconds. */
  readonly seconds: { open: number; round: number };
  /** Prepares what all rounds share; whatever it makes goes into `bench.undo`. */
  open(bench: Workbench): Promise<Case[]>;
  /** Pure: what is known of it, as a part of the page. */
  render(result: ScenarioResult): Section;
}

export interface Case {
  /** Who is measured, e.g. `C floor`. */
  name: string;
  /** What it is measured on, where a scenario has several, e.g. `200 targets`. */
  group?: string;
  /** One round. What it starts goes into `bench.undo` and is undone after it. Throws LeftOut. */
  measure(): Promise<Measured>;
}

export interface Measured {
  values: Record<string, number>;
  /** Single observations, for percentiles over all rounds. */
  lists?: Record<string, number[]>;
}

/** This case cannot be measured here: a tool is missing, or the kernel lacks a mechanism. Said in the page. */
export class LeftOut extends Error {
  override readonly name = 'LeftOut';
}

export interface Section {
  markdown: string;
  /** SVG texts by file name. */
  plots: Record<string, string>;
  goals: Goal[];
}

/** One row of the table "What it must cost". */
export interface Goal {
  what: string;
  goal: string;
  measured: string;
  /** `published`: a figure without a number to meet. */
  outcome: 'met' | 'missed' | 'published' | 'not measured';
}

/** The goals of a result: none is judged on fewer targets than it is about. */
export function judgedGoals({ fullSize = 0 }: Scenario, { targets }: ScenarioResult, { goals }: Section): Goal[] {
  if (targets === null || Math.max(...targets) >= fullSize) return goals;
  return goals.map((goal) => ({ ...goal, measured: 'with fewer targets only', outcome: 'not measured' }));
}

/** Judges a goal by what it needs to know; where any of that was not measured, neither met nor missed. */
export function goalOf<Known extends readonly number[]>(
  what: string,
  goal: string,
  needed: { [Index in keyof Known]: number | undefined },
  judge: (...known: Known) => { measured: string; met: boolean },
): Goal {
  if (!needed.every((value) => value !== undefined && Number.isFinite(value)))
    return { what, goal, measured: '', outcome: 'not measured' };
  const { measured, met } = judge(...(needed as unknown as Known));
  return { what, goal, measured, outcome: met ? 'met' : 'missed' };
}

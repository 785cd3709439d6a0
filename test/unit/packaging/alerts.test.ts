/** Alert rules and dashboard, as far as they can be read without the programs that run them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../support/sources.ts';

interface Rule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook: string };
}
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { groups } = parse(read('packaging/prometheus/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

test('each alert has its own name, says what is wrong, and how urgent that is', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { labels, annotations } of rules) {
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary.length).toBeGreaterThan(10);
    expect(annotations.description.length).toBeGreaterThan(10);
  }
});

test('each alert has a run-book, and each run-book an alert', () => {
  const headings = [...read('docs/operating.md').matchAll(/^### (Hobbler\w+)$/gm)].map(([, name]) => name);
  expect(headings.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
  for (const { alert, annotations } of rules)
    expect(annotations.runbook).toBe(`docs/operating.md#${alert.toLowerCase()}`);
});

test('each alert is fired by the rules’ own test', () => {
  const tested = read('packaging/prometheus/alerts.test.yaml');
  for (const { alert } of rules) expect(tested).toContain(`alertname="${alert}"`);
});

test('every panel of the dashboard asks something, and has a place of its own', () => {
  const { panels } = JSON.parse(read('packaging/grafana/hobbler.json')) as {
    panels: {
      id: number;
      type: string;
      title: string;
      gridPos: { x: number; y: number; w: number; h: number };
      targets?: { expr: string }[];
    }[];
  };
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { type, title, gridPos, targets } of panels) {
    if (type !== 'row')
      expect(
        targets?.every(({ expr }) => expr !== ''),
        title,
      ).toBe(true);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x},${y}`), `${title} overlaps at ${x},${y}`).toBe(false);
        taken.add(`${x},${y}`);
      }
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
  }
});

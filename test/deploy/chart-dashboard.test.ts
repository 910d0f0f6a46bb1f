import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { ROOT } from '../docs/markdown.ts';
import { expressionsOf, readDashboard } from './dashboard.ts';

const dashboard = readDashboard();
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const alerts = readFileSync(join(ROOT, 'deploy/chart/files/alerts.yaml'), 'utf8');
const alertExpressions = [...alerts.matchAll(/^ +expr: (.+)$/gm)].map(([, text = '']) => text);

/** Returns every published series with its labels, including the two labels that Prometheus adds when it scrapes. */
async function findSeries(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const labelsOfSeries = new Map<string, ReadonlySet<string>>();
  const add = (name: string, ...labels: readonly string[]) =>
    labelsOfSeries.set(name, new Set([...labels, 'job', 'instance']));
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    if (type !== 'histogram') add(name, ...labels);
    else {
      add(`${name}_bucket`, ...labels, 'le');
      add(`${name}_sum`, ...labels);
      add(`${name}_count`, ...labels);
    }
  }
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const { name } of await registry.getMetricsAsJSON()) add(name);
  registry.clear();
  return labelsOfSeries;
}

/**
 * Returns the series that a PromQL expression selects, each with the labels in its selector. Also returns the labels by
 * which the expression groups.
 */
function parseExpression(expression: string) {
  const selectors = [...expression.matchAll(/\b((?:secretbridge|process|nodejs)_[a-z0-9_]+)(\{[^}]*\})?/g)];
  return {
    series: selectors.map(([, name = '', matchers = '']) => ({
      name,
      labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label = '']) => label),
    })),
    groups: [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
  };
}

describe('the dashboard and the alerts', () => {
  it('the dashboard and the alerts use only existing metrics and labels', async () => {
    const labelsOfSeries = await findSeries();
    for (const expression of [...expressionsOf(dashboard), ...alertExpressions]) {
      const { series, groups } = parseExpression(expression);
      expect(series.length, expression).toBeGreaterThan(0);
      const labels = new Set<string>();
      for (const one of series) {
        const seriesLabels = labelsOfSeries.get(one.name);
        if (seriesLabels === undefined) expect.fail(`${expression}: there is no metric ${one.name}`);
        expect([...seriesLabels], expression).toEqual(expect.arrayContaining(one.labels));
        for (const label of seriesLabels) labels.add(label);
      }
      expect([...labels], expression).toEqual(expect.arrayContaining(groups));
    }
  });

  it('the dashboard and the alerts use every metric that the program publishes', () => {
    const all = [...expressionsOf(dashboard), ...alertExpressions].join('\n');
    for (const name of Object.keys(METRICS)) expect(all).toContain(name);
  });

  it('the legend of each query uses only labels that the query returns', () => {
    for (const { targets = [], title } of panels)
      for (const { expr, legendFormat } of targets) {
        const grouped = parseExpression(expr).groups;
        const available = grouped.length > 0 ? grouped : ['instance', 'job'];
        const usedLabels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
        expect(available, title).toEqual(expect.arrayContaining(usedLabels));
      }
  });
});

describe('the dashboard', () => {
  it('every panel has a title, a unit and a query', () => {
    expect(panels.length).toBeGreaterThan(20);
    for (const { title, fieldConfig, targets } of panels) {
      expect(title).not.toBe('');
      expect(fieldConfig?.defaults.unit, title).toBeTruthy();
      expect(targets?.length, title).toBeGreaterThan(0);
      const ids = targets?.map(({ refId }) => refId) ?? [];
      expect(new Set(ids).size, title).toBe(ids.length);
    }
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });

  it('all panels have unique ids and do not overlap', () => {
    const all = dashboard.panels;
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const cells = new Set<string>();
    for (const { gridPos, title } of all) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x} ${y}`), title).toBe(false);
          cells.add(`${x} ${y}`);
        }
    }
  });

  it('the dashboard lets users select any Prometheus, installation, process, namespace and store', () => {
    const { list } = dashboard.templating;
    expect(list.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'datasource datasource',
      'job query',
      'instance query',
      'namespace query',
      'store query',
    ]);
    const sources = JSON.stringify(dashboard.panels).match(/"uid":"[^"]*"/g) ?? [];
    expect(new Set(sources)).toEqual(new Set([`"uid":"$\{datasource}"`]));
    const used = new Set(
      expressionsOf(dashboard).flatMap((text) => [...text.matchAll(/\$(\w+)/g)].map(([, name]) => name)),
    );
    used.delete('__rate_interval');
    expect([...used].toSorted()).toEqual(['instance', 'job', 'namespace', 'store']);
    for (const text of expressionsOf(dashboard)) expect(text).toContain('job=~"$job"');
  });
});

import { describe, expect, it } from 'vitest';
import { chartsOf } from '../../bench/harness/charts.ts';
import type { Result } from '../../bench/harness/result.ts';
import { type Row, row } from '../../bench/harness/row.ts';

describe('the charts of a result', () => {
  const resultOf = (rows: readonly Row[]): Result => ({
    format: 1,
    at: '',
    quick: false,
    versions: {},
    machine: { system: '', cpu: '', cores: 1, memoryGb: 1 },
    groups: [{ name: 'g', title: 'g', rows }],
  });

  it('omits a chart that has no rows', () => {
    const time = row({ id: 'first/time/sync', title: '', unit: 's', value: 3, floor: 1, goal: { value: 6 } });
    const pass = row({ id: 'aws/unchanged/memory', title: '', unit: 'calls', value: 50, floor: 50 });
    expect(Object.keys(chartsOf(resultOf([])))).toEqual([]);
    expect(Object.keys(chartsOf(resultOf([time, pass])))).toEqual(['bench-calls.svg', 'bench-latency.svg']);
  });

  const textsOf = (name: string, rows: readonly Row[]): readonly string[] =>
    [
      ...(chartsOf(resultOf(rows))[name] ?? '').matchAll(
        /<text(?: [xy]="[\d.]+"| text-anchor="end")+>([^<]*)</g,
      ),
    ].map(([, text]) => text ?? '');

  it('each chart names the engine of each run, and names the concurrency unless it is the default concurrency', () => {
    const of = (id: string) => row({ id, title: '', unit: 's', value: 3, floor: 1, goal: { value: 6 } });
    const rows = [of('first/time/memory'), of('first/time/redis-64')];
    expect(textsOf('bench-latency.svg', rows)).toEqual([
      ...['service, memory engine', '3.00 s', 'service, Redis engine, concurrency 64', '3.00 s'],
    ]);
  });

  it('the charts show latency percentiles of events and of new mappings for each engine', () => {
    const event = row({
      id: 'event/all/memory',
      title: '',
      unit: 's',
      value: 0.067,
      goal: { value: 1 },
      detail: { p50: 0.029, p99: 0.103, bareP50: 0.016, bareP95: 0.026 },
    });
    const one = row({ id: 'event/aws/memory', title: '', unit: 's', value: 0.05 });
    const added = row({
      id: 'new/p99/redis',
      title: '',
      unit: 's',
      value: 2.1,
      goal: { value: 1 },
      detail: { p50: 0.68, p95: 1.5 },
    });
    expect(textsOf('bench-rotation.svg', [event, one, added])).toEqual([
      ...['event, memory: p50', '0.029 s', 'event, memory: p95', '0.067 s', 'event, memory: p99', '0.10 s'],
      ...['new mapping, Redis: p50', '0.68 s', 'new mapping, Redis: p95', '1.50 s'],
      ...['new mapping, Redis: p99', '2.10 s (over)'],
    ]);
  });

  it('the charts show how each figure grows with the number of targets', () => {
    const of = (targets: number, value: number, before?: number) =>
      row({
        id: `scale/pass-cpu/${targets}`,
        title: '',
        unit: 's CPU',
        value,
        ...(before === undefined ? {} : { floor: before * 10, goal: { ratio: 1.25 } }),
        detail: { targets },
      });
    const other = row({ id: 'scale/ready/100', title: '', unit: 's', value: 1, detail: { targets: 100 } });
    expect(
      textsOf('bench-growth.svg', [of(100, 0.1), other, of(1_000, 0.5, 0.1), of(10_000, 10, 0.5)]),
    ).toEqual(['CPU of a cycle: 100 to 1,000', '0.50 ×', 'CPU of a cycle: 1,000 to 10,000', '2.00 × (over)']);
    expect(chartsOf(resultOf([other]))).toEqual({});
  });

  it('the charts show how much memory the process uses after each cycle', () => {
    const steady = row({
      id: 'memory/steady',
      title: 'the most',
      unit: 'MB',
      value: 240,
      floor: 45,
      goal: { value: 256 },
      detail: { pass0: 200, pass1: 240, pass2: 238 },
    });
    expect(textsOf('bench-passes.svg', [steady])).toEqual([
      ...['in the first sync', '200 MB', 'in cycle 1', '240 MB', 'in cycle 2', '238 MB'],
    ]);
  });
});

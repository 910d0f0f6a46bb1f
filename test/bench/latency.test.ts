import { describe, expect, it } from 'vitest';
import { createRandom, latencyOf, showLatency } from '../../bench/rows/latency.ts';

describe('the latency summary', () => {
  it('computes the percentiles in seconds by nearest rank', () => {
    const times = Array.from({ length: 200 }, (_, n) => (n + 1) * 10);
    expect(latencyOf(times)).toEqual({ count: 200, p50: 1, p95: 1.9, p99: 1.98, max: 2 });
  });

  it('the latency summary does not depend on the order of the values', () => {
    expect(latencyOf([300, 100, 200])).toEqual(latencyOf([100, 200, 300]));
  });

  it('formats the latency summary as one line', () => {
    expect(showLatency(latencyOf([100, 200]))).toBe('2: p50 0.1 s, p95 0.2 s, p99 0.2 s, max 0.2 s');
  });
});

describe('the random moments of a benchmark', () => {
  const some = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 1_000 }, random);
  };

  it('the random moments are the same in each run', () => {
    expect(some(7)).toEqual(some(7));
    expect(some(7)).not.toEqual(some(8));
  });

  it('the random moments are spread evenly', () => {
    const tenths = Map.groupBy(some(7), (value) => Math.floor(value * 10));
    expect([...tenths.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const values of tenths.values()) expect(values.length).toBeGreaterThan(50);
  });
});

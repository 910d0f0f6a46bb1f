import { describe, expect, it } from 'vitest';
import { createRandom, latencyOf, showLatency } from '../../bench/rows/latency.ts';

describe('the latency of many tries', () => {
  it('is told in seconds, by the nearest rank', () => {
    const times = Array.from({ length: 200 }, (_, n) => (n + 1) * 10);
    expect(latencyOf(times)).toEqual({ count: 200, p50: 1, p95: 1.9, p99: 1.98, max: 2 });
  });

  it('does not depend on the order of the tries', () => {
    expect(latencyOf([300, 100, 200])).toEqual(latencyOf([100, 200, 300]));
  });

  it('is shown in one line', () => {
    expect(showLatency(latencyOf([100, 200]))).toBe('2: p50 0.1 s, p95 0.2 s, p99 0.2 s, most 0.2 s');
  });
});

describe('the moments of a benchmark', () => {
  const some = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 1_000 }, random);
  };

  it('are the same in each run', () => {
    expect(some(7)).toEqual(some(7));
    expect(some(7)).not.toEqual(some(8));
  });

  it('are spread over the whole time', () => {
    const tenths = Map.groupBy(some(7), (it) => Math.floor(it * 10));
    expect([...tenths.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const its of tenths.values()) expect(its.length).toBeGreaterThan(50);
  });
});

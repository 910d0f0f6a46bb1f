import { percentile } from '../harness/statistics.ts';

/** Percentiles in seconds. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export function latencyOf(all: readonly number[]): Latency {
  const at = (share: number) => Math.round(percentile(all, share)) / 1_000;
  return { count: all.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function showLatency({ count, p50, p95, p99, max }: Latency): string {
  return `${count}: p50 ${p50} s, p95 ${p95} s, p99 ${p99} s, max ${max} s`;
}

/** Returns a deterministic generator of numbers between 0 and 1. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    // The linear congruential generator of Numerical Recipes is good enough for random moments.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

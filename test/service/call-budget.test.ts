import { expect, it } from 'vitest';
import type { MappingInclude } from '../../src/core/mapping.ts';
import { CallBudget } from '../../src/service/runs/call-budget.ts';

const include = (path: string, callsPerMinute: number): MappingInclude => ({
  path,
  callsPerMinute,
  limits: { keysPerMapping: 200, templateTimeMs: 1_000, templateBytes: 1_024 },
  bounds: { namespaces: ['*'], stores: ['*'], keys: ['**'], types: [] },
});

/** Runs jobs that return to the queue for the delay that they get. Returns when each of them has started. */
function runJobs(jobs: number, calls: number, team: MappingInclude): readonly number[] {
  let now = 0;
  const budget = new CallBudget({ now: () => now });
  const waiting = Array.from({ length: jobs }, (_, id) => ({ id, at: 0 }));
  const startedAt: number[] = [];
  while (waiting.length > 0) {
    waiting.sort((a, b) => a.at - b.at);
    const [job] = waiting;
    if (job === undefined) break;
    now = Math.max(now, job.at);
    const waitMs = budget.take(team, calls, 'sweep');
    if (waitMs > 0) job.at = now + waitMs;
    else {
      startedAt.push(now);
      waiting.shift();
    }
  }
  return startedAt;
}

it('the calls of an include stay within its limit in each minute, and almost none stay unused', () => {
  const startedAt = runJobs(3_000, 1, include('teams/a', 600));
  for (const at of startedAt) {
    const inMinute = startedAt.filter((other) => other >= at && other < at + 60_000).length;
    expect(inMinute).toBeLessThanOrEqual(602);
  }
  expect(startedAt.at(-1)).toBeLessThan((3_000 / 540) * 60_000 * 1.1);
});

it('a job with more calls than a burst runs, and the next jobs wait for its calls', () => {
  const startedAt = runJobs(3, 100, include('teams/a', 100));
  expect(startedAt[0]).toBe(0);
  expect(startedAt[1]).toBeGreaterThan(55_000);
  expect(startedAt[2]).toBeGreaterThan(115_000);
});

it('includes do not share a budget, and the request of a person does not wait', () => {
  const budget = new CallBudget({ now: () => 0 });
  expect(budget.take(include('teams/a', 10), 50, 'sweep')).toBe(0);
  expect(budget.take(include('teams/a', 10), 1, 'sweep')).toBeGreaterThan(0);
  expect(budget.take(include('teams/a', 10), 1, 'manual')).toBe(0);
  expect(budget.take(include('teams/b', 10), 1, 'sweep')).toBe(0);
});

import { expect, it } from 'vitest';
import { type Entry, NO_KEYS } from '../../src/audit/entry.ts';
import { readRestarts } from '../../src/restart/pending.ts';
import { faulty } from '../fakes/faulty.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

const entry = (n: number, phase: 'intent' | 'outcome'): Entry => ({
  actor: { kind: 'schedule' },
  requestId: `request-${n}`,
  action: 'restart',
  phase,
  mapping: 'db',
  namespace: 'apps',
  secret: 'db',
  outcome: 'ok',
  sources: [],
  keys: NO_KEYS,
  note: 'Deployment/web',
  durationMs: 0,
  attempt: 1,
});

const options = { floor: 0, since: 0, rolloutsSince: 0, instances: ['test'] };

it('readRestarts first reads all restart records, and later only the records since the oldest pending restart', async () => {
  const audit = createMemoryAudit();
  let pages = 0;
  const counted = faulty('audit', audit, ({ phase }) => {
    if (phase === 'before') pages += 1;
  });
  const many = Array.from({ length: 800 }, (_, n) => [entry(n, 'intent'), entry(n, 'outcome')]).flat();
  await audit.append(many);
  await audit.append([entry(900, 'intent')]);
  const first = await readRestarts(counted, options);
  expect(first.pending.map(({ intent }) => intent.requestId)).toEqual(['request-900']);
  expect([first.floor, pages]).toEqual([1_601, 4]);

  await audit.append([entry(901, 'intent'), entry(900, 'outcome')]);
  const second = await readRestarts(counted, { ...options, floor: first.floor });
  expect(second.pending.map(({ intent }) => intent.requestId)).toEqual(['request-901']);
  expect([second.floor, pages]).toEqual([1_602, 5]);

  await audit.append([entry(901, 'outcome')]);
  expect(await readRestarts(counted, { ...options, floor: second.floor })).toEqual({
    pending: [],
    rollouts: [],
    floor: 1_605,
  });
});

it('readRestarts returns a recorded rollout until it is too old to be still running', async () => {
  const audit = createMemoryAudit();
  await audit.append([entry(1, 'intent'), { ...entry(1, 'outcome'), counts: { rolled: 1 } }]);
  const at = 1_800_000_000_000;
  const found = await readRestarts(audit, { ...options, rolloutsSince: at });
  expect(found).toEqual({
    pending: [],
    rollouts: [expect.objectContaining({ workload: 'Deployment/web', namespace: 'apps', startedAt: at })],
    floor: 2,
  });
  expect((await readRestarts(audit, { ...options, rolloutsSince: at + 1 })).rollouts).toEqual([]);
});

it('readRestarts treats two changes of a Secret in one request as two restarts with separate outcomes', async () => {
  const audit = createMemoryAudit();
  const of = (text: string, phase: 'intent' | 'outcome') => ({
    ...entry(1, phase),
    after: `${'a'.repeat(8)}:${text.repeat(64)}`,
  });
  await audit.append([of('1', 'intent'), of('2', 'intent'), of('1', 'outcome')]);
  const { pending } = await readRestarts(audit, options);
  expect(pending.map(({ intent }) => intent.sequence)).toEqual([2]);
});

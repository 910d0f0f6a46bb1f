import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryWorkloads } from './memory-workloads.ts';

const id = { kind: 'Deployment', namespace: 'team', name: 'app' } as const;

it('memory workloads start a rollout when an annotation changes, and end the rollout when the test requests it', async () => {
  const workloads = createMemoryWorkloads();
  workloads.put(id, { labels: { tier: 'web' }, podAnnotations: { theirs: '1' } });
  const live = await workloads.read(id);
  if (live === undefined) throw new Error('it was put there');
  expect(await workloads.annotatePods(live, { mark: 'v1' })).toBe('written');
  expect(await workloads.read(id)).toMatchObject({
    podAnnotations: { theirs: '1', mark: 'v1' },
    rolling: true,
  });
  workloads.settle(id);
  expect(await workloads.list('Deployment', 'team', { matchLabels: { tier: 'web' } })).toMatchObject([
    { id, rolling: false },
  ]);
  await workloads.annotatePods(live, { mark: 'v1' });
  expect(await workloads.read(id)).toMatchObject({ rolling: false });
  workloads.fail('read', new AppError('CLUSTER_FORBIDDEN'));
  await expect(workloads.read(id)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  workloads.forget(id);
  expect(await workloads.annotatePods(live, { mark: 'v2' })).toBe('missing');
  expect(workloads.annotated).toHaveLength(2);
});

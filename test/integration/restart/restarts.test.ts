import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Entry, NO_KEYS } from '../../../src/audit/entry.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { createRestarts } from '../../../src/restart/restarts.ts';
import { RESTART_AGAIN_ANNOTATION, restartAnnotation } from '../../../src/sync/restart.ts';
import { createMemoryAudit } from '../../fakes/memory-audit.ts';
import { connect } from '../cluster/harness.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

// This cluster has no controller. A rollout therefore runs until the test writes the final status, as a controller
// would.

interface Raw {
  readonly metadata: { readonly generation: number };
  readonly spec: {
    readonly template: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
  };
}

const fingerprint = (text: string) => `aaaaaaaa:${text.repeat(64)}`;
const MERGE = { 'content-type': 'application/merge-patch+json' };

async function openNamespace() {
  const { request, kubeconfig } = kubernetes();
  const namespace = `restart-${randomBytes(4).toString('hex')}`;
  assertStatus(
    await request('POST', '/api/v1/namespaces', { metadata: { name: namespace } }),
    201,
    'namespace',
  );
  const base = `/apis/apps/v1/namespaces/${namespace}`;
  const selector = { matchLabels: { app: 'x' } };
  const template = {
    metadata: { labels: { app: 'x' }, annotations: { theirs: 'kept' } },
    spec: { containers: [{ name: 'x', image: 'x' }] },
  };
  const cluster = await connect(kubeconfig);
  const audit = createMemoryAudit({ clock: systemClock });
  if (cluster.workloads === undefined) throw new Error('no workloads');
  const restarts = createRestarts({
    audit,
    workloads: cluster.workloads,
    instances: ['test'],
    clock: systemClock,
  });
  let attempt = 10;
  return {
    audit,
    run: (atOnce: number) => restarts.run({ windowMs: 0, atOnce: atOnce }),
    async create(plural: string, name: string): Promise<void> {
      const spec = { selector, template, ...(plural === 'statefulsets' ? { serviceName: 'x' } : {}) };
      const metadata = { name, labels: { tier: 'back' } };
      assertStatus(await request('POST', `${base}/${plural}`, { metadata, spec }), 201, name);
    },
    async read(plural: string, name: string): Promise<Raw> {
      return (await request<Raw>('GET', `${base}/${plural}/${name}`)).body;
    },
    /** Restores the pod template of an older revision, like `kubectl rollout undo`. */
    async undo(plural: string, name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
      const value = { ...template, metadata: { ...template.metadata, annotations } };
      const patch = [{ op: 'replace', path: '/spec/template', value }];
      const headers = { 'content-type': 'application/json-patch+json' };
      assertStatus(await request('PATCH', `${base}/${plural}/${name}`, patch, headers), 200, 'undo');
    },
    /** Writes the status of a finished rollout, like the Deployment controller. */
    async finish(name: string, generation: number): Promise<void> {
      const status = {
        observedGeneration: generation,
        replicas: 1,
        updatedReplicas: 1,
        readyReplicas: 1,
        availableReplicas: 1,
      };
      const path = `${base}/deployments/${name}/status`;
      assertStatus(await request('PATCH', path, { status }, MERGE), 200, 'status');
    },
    async intent(note: string, secret: string, text: string): Promise<void> {
      attempt += 1;
      const entry: Entry = {
        actor: { kind: 'schedule' },
        requestId: 'request',
        phase: 'intent',
        action: 'restart',
        mapping: secret,
        namespace,
        secret,
        outcome: 'ok',
        sources: [],
        keys: NO_KEYS,
        after: fingerprint(text),
        note,
        durationMs: 0,
        attempt,
      };
      await audit.append([entry]);
    },
    outcomes: () =>
      audit.records
        .filter(({ phase }) => phase === 'outcome')
        .map(({ note, outcome, code }) =>
          [note, outcome, code].filter((part) => part !== undefined).join(' '),
        ),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

it('restarts each kind of workload once by a patch of its pod template, and keeps foreign annotations', async () => {
  await using workspace = await openNamespace();
  const kinds = { Deployment: 'deployments', StatefulSet: 'statefulsets', DaemonSet: 'daemonsets' };
  for (const [kind, plural] of Object.entries(kinds)) {
    await workspace.create(plural, 'one');
    await workspace.intent(`${kind}/one`, 'db', '1');
    await workspace.intent(`${kind}/one`, 'api', '1');
  }
  await workspace.intent('Deployment/nothing', 'db', '1');
  expect(await workspace.run(5)).toEqual({});
  expect(workspace.outcomes().toSorted()).toEqual([
    ...['DaemonSet/one ok', 'DaemonSet/one ok', 'Deployment/nothing failed WORKLOAD_MISSING'],
    ...['Deployment/one ok', 'Deployment/one ok', 'StatefulSet/one ok', 'StatefulSet/one ok'],
  ]);
  for (const plural of Object.values(kinds)) {
    const { metadata, spec } = await workspace.read(plural, 'one');
    expect(metadata.generation).toBe(2);
    expect(spec.template.metadata.annotations).toEqual({
      theirs: 'kept',
      [restartAnnotation('db')]: fingerprint('1'),
      [restartAnnotation('api')]: fingerprint('1'),
    });
  }
  await workspace.intent('Deployment/one', 'db', '1');
  expect(await workspace.run(5)).toEqual({});
  expect((await workspace.read('deployments', 'one')).metadata.generation).toBe(2);
});

it('restarts a workload again after its pod template was reverted to the previous content', async () => {
  await using workspace = await openNamespace();
  await workspace.create('deployments', 'one');
  for (const text of ['1', '2']) {
    await workspace.intent('Deployment/one', 'db', text);
    expect(await workspace.run(5)).toEqual({});
  }
  await workspace.undo('deployments', 'one', { [restartAnnotation('db')]: fingerprint('1') });
  await workspace.intent('Deployment/one', 'db', '1');
  expect(await workspace.run(5)).toEqual({});
  const { metadata, spec } = await workspace.read('deployments', 'one');
  expect(metadata.generation).toBe(5);
  expect(spec.template.metadata.annotations).toEqual({
    [restartAnnotation('db')]: fingerprint('1'),
    [RESTART_AGAIN_ANNOTATION]: expect.stringMatching(/^\d+$/),
  });
  expect(await workspace.run(5)).toEqual({});
  expect((await workspace.read('deployments', 'one')).metadata.generation).toBe(5);
});

it('restarts the next workload after the previous rollout has ended', async () => {
  await using workspace = await openNamespace();
  for (const name of ['a', 'b']) await workspace.create('deployments', name);
  await workspace.intent('Deployment with tier=back', 'db', '2');
  expect(await workspace.run(1)).toEqual({ nextMs: 2_000 });
  expect(await workspace.run(1)).toEqual({ nextMs: 2_000 });
  const generations = async () =>
    Promise.all(
      ['a', 'b'].map(async (name) => (await workspace.read('deployments', name)).metadata.generation),
    );
  expect(await generations()).toEqual([2, 1]);
  await workspace.finish('a', 2);
  expect(await workspace.run(1)).toEqual({});
  expect(await generations()).toEqual([2, 2]);
  expect(workspace.outcomes()).toEqual(['Deployment with tier=back ok']);
});

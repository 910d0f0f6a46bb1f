import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { describeCluster } from '../conformance/cluster.ts';
import { type ClusterHarness, change, manifest, readNow } from '../conformance/cluster-harness.ts';
import { describeLists } from '../conformance/cluster-lists.ts';
import { describeMergeLaw } from '../conformance/cluster-merge-law.ts';
import { describeWatch } from '../conformance/cluster-watch.ts';
import { openWatchLog } from '../conformance/cluster-watch-log.ts';
import { describeNamespaceWatch } from '../conformance/cluster-watch-namespaces.ts';
import { createMemoryCluster } from './memory-cluster.ts';

/** Applies a JSON merge patch (RFC 7396). */
function merge(target: unknown, patch: JsonObject): JsonObject {
  const entries = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) entries.delete(name);
    else entries.set(name, isObject(value) ? merge(entries.get(name), value) : value);
  }
  return Object.fromEntries(entries);
}

async function open(): Promise<ClusterHarness> {
  const cluster = createMemoryCluster();
  return {
    cluster,
    namespace: 'team',
    put: async (id, raw) => cluster.put(id, raw),
    edit: async (id, patch) => cluster.edit(id, (raw) => merge(raw, patch)),
    remove: async (id) => cluster.forget(id),
    raw: async (id) => cluster.raw(id),
    label: async (labels) => cluster.namespace('team', labels),
    another: async () => cluster,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

describeCluster('the memory cluster', open);
describeLists('the memory cluster', open);
for (const scope of ['name', 'namespace'] as const) {
  describeWatch(`the memory cluster (by ${scope})`, open, {
    scope,
    reportsEveryVersion: true,
    recordsManagers: true,
  });
}
describeNamespaceWatch('the memory cluster', open);

describe('the memory cluster', () => describeMergeLaw(open, { runs: 300, seesReverts: true }));

describe('the memory cluster as a test double', () => {
  const id = { namespace: 'team', secret: 'app' };

  it('counts its calls and its changes', async () => {
    const cluster = createMemoryCluster();
    await cluster.create(id, manifest());
    await cluster.create(id, manifest());
    await cluster.replace(await readNow(cluster, id), change({ labels: { a: '1' } }));
    expect(cluster.calls).toMatchObject({ read: 1, create: 2, replace: 1 });
    expect(cluster.writes).toEqual([
      { kind: 'create', id },
      { kind: 'replace', id },
    ]);
  });

  it('makes the next calls of a method fail in the given order', async () => {
    const cluster = createMemoryCluster();
    cluster.fail('read', undefined, new AppError('CLUSTER_UNAVAILABLE'));
    await expect(cluster.read(id)).resolves.toBeUndefined();
    await expect(cluster.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    await expect(cluster.read(id)).resolves.toBeUndefined();
  });

  it('applies a write, but loses its response', async () => {
    const cluster = createMemoryCluster();
    cluster.loseAnswer('create', new AppError('CLUSTER_UNAVAILABLE'));
    await expect(cluster.create(id, manifest())).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    expect((await readNow(cluster, id)).labels).toEqual(manifest().labels);
  });

  it('lets another writer act before a call', async () => {
    const cluster = createMemoryCluster();
    cluster.before('create', () => cluster.put(id, { data: {} }));
    expect(await cluster.create(id, manifest())).toEqual({ kind: 'conflict' });
  });

  it('contains only the namespaces that the test gives it', async () => {
    const cluster = createMemoryCluster({ namespaces: ['other'] });
    await expect(cluster.create(id, manifest())).rejects.toMatchObject({ code: 'NAMESPACE_MISSING' });
  });

  it('makes its watches fail, and then restarts them', async () => {
    const cluster = createMemoryCluster();
    await using log = openWatchLog(cluster, { namespace: 'team' });
    await log.until(({ listCount }) => listCount() === 1);
    expect(cluster.watched).toEqual([{ namespace: 'team' }]);
    cluster.interrupt(new AppError('CLUSTER_UNAVAILABLE'));
    await log.until(({ listCount }) => listCount() === 2);
    expect(log.errors).toMatchObject([{ code: 'CLUSTER_UNAVAILABLE' }]);
  });
});

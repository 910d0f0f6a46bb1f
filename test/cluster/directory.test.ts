import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe } from 'vitest';
import { parse, stringify } from 'yaml';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { isObject } from '../../src/core/json.ts';
import { describeCluster } from '../conformance/cluster.ts';
import type { ClusterHarness } from '../conformance/cluster-harness.ts';
import { describeLists } from '../conformance/cluster-lists.ts';
import { describeMergeLaw } from '../conformance/cluster-merge-law.ts';
import { describeWatch } from '../conformance/cluster-watch.ts';
import { describeNamespaceWatch } from '../conformance/cluster-watch-namespaces.ts';

function merge(target: unknown, patch: object): object {
  const entries = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) entries.delete(name);
    else entries.set(name, isObject(value) ? merge(entries.get(name), value) : value);
  }
  return Object.fromEntries(entries);
}

async function open(): Promise<ClusterHarness> {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-directory-'));
  const cluster = createDirectoryCluster({ path, clock: { now: () => 0 } });
  const file = ({ namespace, secret }: { namespace: string; secret: string }) =>
    join(path, namespace, `${secret}.yaml`);
  return {
    cluster,
    namespace: 'team',
    async put(id, raw) {
      await mkdir(dirname(file(id)), { recursive: true });
      const whole = { apiVersion: 'v1', kind: 'Secret', ...merge(raw, { metadata: { name: id.secret } }) };
      await writeFile(file(id), stringify(whole));
    },
    async edit(id, patch) {
      await writeFile(file(id), stringify(merge(parse(await readFile(file(id), 'utf8')), patch)));
    },
    remove: (id) => rm(file(id)),
    async raw(id) {
      return parse(await readFile(file(id), 'utf8'));
    },
    async label(labels) {
      const whole = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team', labels } };
      await writeFile(join(path, 'team.yaml'), stringify(whole));
    },
    another: async () => createDirectoryCluster({ path, clock: { now: () => 0 } }),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await rm(path, { recursive: true, force: true });
    },
  };
}

describeCluster('a directory cluster', open);
describeLists('a directory cluster', open);
describeWatch('a directory cluster', open, {
  scope: 'namespace',
  reportsEveryVersion: false,
  recordsManagers: false,
});
describeWatch('a file of a directory cluster', open, {
  scope: 'name',
  reportsEveryVersion: false,
  recordsManagers: false,
});
describeNamespaceWatch('a directory cluster', open);

describe('a directory cluster', () => describeMergeLaw(open, { runs: 40, seesReverts: false }));

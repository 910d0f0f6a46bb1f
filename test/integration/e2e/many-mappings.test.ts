import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../services/kubernetes.ts';
import { countsBetween, createKubernetesApi, type RequestCounts } from '../services/kubernetes-api.ts';
import { type Bench, openBench, recordedChanges } from './bench.ts';
import { manyMappings, seed, valuesOf, wrongTargets } from './many-mappings.ts';
import type { Witness } from './witness.ts';

const COUNT = 300;
const MUTATING = /^(POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION) (.*)$/;
/** Resources that an API server writes continuously for its own purposes. */
const SERVER_RESOURCES = ['leases', 'flowschemas/status', 'prioritylevelconfigurations/status'];

// This suite uses its own API server, so the request counters exclude other tests.
let server: Kubernetes;

function changesBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const added = Object.entries(countsBetween(before, after));
  return Object.fromEntries(
    added.filter(([key]) => {
      const [, , resource = ''] = MUTATING.exec(key) ?? [];
      return resource !== '' && !SERVER_RESOURCES.includes(resource);
    }),
  );
}

beforeAll(async () => {
  server = await startKubernetes();
});

afterAll(() => server?.stop());

describe.each(['names', 'namespace'] as const)(
  `${COUNT} mappings of 3 keys from OpenBao into kube-apiserver (rights for \`scope: %s\`)`,
  (scope) => {
    let bench: Bench;
    let witness: Witness;
    const counts = () => server.requestCounts();
    const versions = async () =>
      (await bench.secrets()).map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);

    beforeAll(async () => {
      const { address, caFile, adminToken: token, folder } = server;
      const access = { address, caFile, token, folder };
      bench = await openBench({
        scope,
        mappings: manyMappings(COUNT),
        cluster: { ...access, ...createKubernetesApi(access) },
      });
      await seed(bench, COUNT);
      witness = await bench.witness();
    });

    afterAll(async () => {
      await witness?.[Symbol.asyncDispose]();
      await bench?.[Symbol.asyncDispose]();
    });

    it('the first sync writes all targets completely, with one POST for each mapping', async () => {
      const before = await counts();
      const report = await bench.sync();
      expect(report).toMatchObject({ code: 0, ok: true, summary: { created: COUNT } });
      expect(changesBetween(before, await counts())).toEqual({ 'POST secrets': COUNT });
      expect(await wrongTargets(bench, COUNT, () => 0)).toEqual([]);
    });

    it('each Secret has labels and annotations for its owner and its sources', async () => {
      const { metadata, type } = (await bench.secret('m7')) ?? { metadata: undefined };
      expect(type).toBe('Opaque');
      expect(metadata?.labels).toEqual({
        team: 't1',
        'app.kubernetes.io/managed-by': 'secretbridge',
        'secretbridge.dev/instance': 'e2e',
        'secretbridge.dev/mapping': 'm7',
      });
      const annotations = metadata?.annotations ?? {};
      expect(JSON.parse(annotations['secretbridge.dev/sources'] ?? '')).toEqual(
        Object.fromEntries(
          ['BYTES', 'NUMBER', 'TEXT'].map((key) => [
            key,
            {
              store: 'vault',
              key: `${bench.vault.prefix}/m7`,
              property: key.toLowerCase(),
              version: '1',
            },
          ]),
        ),
      );
      expect(annotations['secretbridge.dev/fingerprint']).toMatch(/^[0-9a-f]{8}:[0-9a-f]{64}$/);
      expect(annotations['secretbridge.dev/config']).toMatch(/^[0-9a-f]+$/);
      expect(annotations['secretbridge.dev/on-mapping-removed']).toBe('keep');
      expect(metadata?.managedFields).toMatchObject([{ manager: 'secretbridge', operation: 'Update' }]);
    });

    it('the second sync writes nothing, and every Secret keeps its resourceVersion', async () => {
      const [before, versionsBefore] = [await counts(), await versions()];
      const report = await bench.sync();
      expect(report).toMatchObject({ code: 0, ok: true, summary: { unchanged: COUNT } });
      expect(changesBetween(before, await counts())).toEqual({});
      expect(await versions()).toEqual(versionsBefore);
    });

    it('the sync after one rotation sends a single PUT', async () => {
      await bench.vault.put('m42', valuesOf(42, 1));
      const before = await counts();
      expect(await bench.run('plan', '--output', 'json')).toMatchObject({ code: 2 });
      expect(changesBetween(before, await counts())).toEqual({ 'PUT secrets (dry run)': 1 });
      const report = await bench.sync();
      expect(report).toMatchObject({ code: 0, summary: { updated: 1, unchanged: COUNT - 1 } });
      expect(changesBetween(before, await counts())).toEqual({
        'PUT secrets (dry run)': 1,
        'PUT secrets': 1,
      });
      expect(await wrongTargets(bench, COUNT, (n) => (n === 42 ? 1 : 0))).toEqual([]);
    });

    it('each new resourceVersion has an outcome record in an intact audit chain', async () => {
      const changes = await witness.changes();
      const records = await bench.records();
      expect(changes).toHaveLength(COUNT + 1);
      expect(recordedChanges(records).toSorted()).toEqual(
        changes.map(({ secret, resourceVersion }) => `${secret} ${resourceVersion}`).toSorted(),
      );
      expect(await bench.chain()).toMatchObject({ kind: 'intact', records: records.length });
    });
  },
);

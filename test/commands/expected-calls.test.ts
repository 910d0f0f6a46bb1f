import { describe, expect, it } from 'vitest';
import { expectedCalls, unsharedCallsPerHour } from '../../src/commands/expected-calls.ts';
import { unresolvedTargets } from '../../src/reconcile/targets.ts';
import { loadText } from '../config/memory-fs.ts';

const STORES = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores:
  - { name: aws, kind: aws-secrets-manager, region: eu-west-1, auth: { method: default } }
  - { name: strict, kind: aws-secrets-manager, region: eu-west-1, auth: { method: default }, freshness: strict }
  - { name: azure, kind: azure-key-vault, vaultUrl: 'https://contoso.vault.azure.net', auth: { method: default } }
  - { name: vault, kind: vault, address: 'https://vault', auth: { method: token, token: { env: T } } }
  - { name: unused, kind: files, path: ./x }
mappings:
`;

/** Returns the YAML of one mapping with many keys. */
const mapping = (store: string, keys: number, more = '', target = 'namespace: a') =>
  `  - { name: ${store}-${keys}, target: { ${target} }, ${more} data: { ${Array.from({ length: keys }, (_, index) => `K${index}: { store: ${store}, key: k${index} }`).join(', ')} } }\n`;

async function open(mappings: string) {
  const loaded = await loadText(STORES + mappings);
  if (loaded.kind !== 'usable') throw new Error(JSON.stringify(loaded.problems));
  return { config: loaded.config, wanted: unresolvedTargets(loaded.config.mappings) };
}

describe('estimate of the store requests', () => {
  it.each([
    ['aws', 1_000, { way: 'list', perHour: 12 * 10 }],
    // If listing a page costs as much as reading a batch, the list is used, because it reads no values.
    ['aws', 15, { way: 'list', perHour: 12 }],
    ['aws', 2, { way: 'describe', perHour: 12 * 2 }],
    ['strict', 1_000, { way: 'batch', perHour: 12 * 50 }],
    ['azure', 1_000, { way: 'list', perHour: 12 * 40 }],
    ['strict', 2, { way: 'batch', perHour: 12 }],
    ['azure', 2, { way: 'list', perHour: 12 }],
    ['azure', 1, { way: 'read', perHour: 12 }],
    ['vault', 300, { way: 'read', perHour: 12 * 300 }],
  ])(
    'the estimate of store requests assumes the cheapest read strategy of store %s for %i keys before the first sweep',
    async (store, keys, expected) => {
      const { config, wanted } = await open(mapping(store, keys));
      expect(expectedCalls(config, wanted)).toEqual([{ store, keys, ...expected }]);
      expect(unsharedCallsPerHour(wanted, store)).toBe(12 * keys);
    },
  );

  it('the estimate of store requests uses the read strategy and the request count of the last sweep', async () => {
    const { config, wanted } = await open(mapping('aws', 100));
    const taken = () => [{ way: 'batch' as const, keys: 100, calls: 5 }];
    expect(expectedCalls(config, wanted, { taken })).toEqual([
      { store: 'aws', keys: 100, way: 'batch', perHour: 60 },
    ]);
  });

  it('the estimate of store requests counts a key once for all targets that use it, at the shortest refresh interval', async () => {
    const { config, wanted } = await open(
      mapping('vault', 2, 'refresh: 1h,', 'namespaces: [a, b, c]') + mapping('vault', 1, 'refresh: 10m,'),
    );
    expect(expectedCalls(config, wanted)).toEqual([{ store: 'vault', keys: 2, way: 'read', perHour: 6 + 1 }]);
    expect(unsharedCallsPerHour(wanted, 'vault')).toBe(3 * 2 + 6);
  });

  it('the estimate of store requests includes named versions, searches and merged targets', async () => {
    const { config, wanted } = await open(`  - name: more
    target: { namespace: a }
    data: { A: { store: aws, key: a, version: AWSPREVIOUS } }
  - name: found
    target: { namespace: a }
    dataFrom: [ { store: aws, find: { path: x/ } } ]
  - name: merged
    target: { namespace: a, secret: theirs, mode: merge }
    data: { B: { store: aws, key: b }, C: { store: vault, key: c }, D: { store: vault, key: c } }
`);
    expect(expectedCalls(config, wanted)).toEqual([
      { store: 'aws', keys: 2, perHour: 12 * 3 },
      { store: 'vault', keys: 1, perHour: 12 },
    ]);
  });

  it('the estimate of store requests is higher if the permissions to list and to read in batches are missing', async () => {
    const { config, wanted } = await open(mapping('aws', 1_000));
    const perHour = (...lacks: ('list' | 'batch')[]) =>
      expectedCalls(config, wanted, { lacks: new Set(lacks) })[0]?.perHour;
    expect([perHour(), perHour('list'), perHour('batch'), perHour('list', 'batch')]).toEqual([
      120, 600, 120, 12_000,
    ]);
  });
});

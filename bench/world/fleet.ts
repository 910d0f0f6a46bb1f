import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../test/integration/services/free-port.ts';
import type { RunningFakeStore } from '../fake-stores/start.ts';
import { baseConfig } from './base-config.ts';
import type { Lab } from './lab.ts';
import type { Workspace } from './program.ts';
import { FIELDS, keyName, valuesOf } from './test-data.ts';

/**
 * A complete installation: mappings of five keys each, in several namespaces. The mappings use AWS and Vault
 * alternately.
 */
export interface Fleet {
  readonly mappings: number;
  readonly namespaces: readonly string[];
  readonly refresh: string;
  readonly engine?: 'memory' | 'redis';
  /** The size of each value in bytes. Default: short values. */
  readonly valueBytes?: number;
  readonly fields?: readonly string[];
  /** The stores that the mappings use alternately. Default: both. */
  readonly stores?: readonly StoreKind[];
  /** The number of mappings in a file. Default: everything is in one file. */
  readonly mappingsPerFile?: number;
  /** Whether each mapping has a target in one of the namespaces only, so that no two targets share a key. */
  readonly isDistinct?: boolean;
}

export interface FleetWorkspace extends Workspace {
  readonly address: string;
  readonly port: number;
  readonly targets: number;
  /** The number of distinct keys, in both stores together. */
  readonly keys: number;
  readonly stores: { readonly aws: RunningFakeStore; readonly vault: RunningFakeStore };
  /** Changes `refresh`. The service must be stopped. */
  configure(refresh: string): Promise<void>;
  /**
   * Replaces the last file by a file with one more mapping. Returns the `performance.now()` of the replacement.
   *
   * @param onReady Called with the name of the Secret before the replacement.
   */
  addMapping(onReady: (secret: string) => void): Promise<number>;
}

/** Puts the values into both stores and writes the configuration to a new folder. */
export async function openFleet(lab: Lab, fleet: Fleet): Promise<FleetWorkspace> {
  const stores = { aws: await lab.fakeStore('aws'), vault: await lab.fakeStore('vault') };
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-fleet-'));
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  await writeFile(join(folder, 'shared.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  for (const kind of KINDS) {
    const keys = keysOf(fleet, kind);
    const values = fleet.valueBytes === undefined ? valuesOf(keys) : bigValues(keys, fleet.valueBytes);
    await stores[kind].put(values);
    await writeFile(join(folder, `${kind}.pem`), stores[kind].ca);
  }
  const port = await freePort();
  await mkdir(join(folder, 'config'));
  const configure = async (refresh: string) => {
    const sections = configOf({ ...fleet, refresh }, stores, lab, port);
    await writeFile(join(folder, 'config', 'secretbridge.yaml'), stringify(sections));
  };
  const all = Array.from({ length: fleet.mappings }, (_, n) => mappingText(n, fleet));
  const files = chunksOf(all, fleet.mappingsPerFile ?? all.length);
  const fileOf = (n: number) => join(folder, 'config', `mappings-${n}.yaml`);
  const textOf = (mappings: readonly string[]) => `mappings:\n${mappings.join('')}`;
  for (const [n, mappings] of files.entries()) await writeFile(fileOf(n), textOf(mappings));
  await configure(fleet.refresh);
  return {
    configure,
    async addMapping(onReady) {
      const n = all.length;
      const values = valuesOf(keysOfMapping(n, fleet));
      await stores[storeOf(n, fleet.stores)].put(values);
      all.push(mappingText(n, fleet));
      const last = files.length - 1;
      const before = files.slice(0, last).reduce((sum, { length }) => sum + length, 0);
      await writeFile(join(folder, 'next.yaml'), textOf(all.slice(before)));
      onReady(`app-${n}`);
      const startedAt = performance.now();
      await rename(join(folder, 'next.yaml'), fileOf(last));
      return startedAt;
    },
    folder,
    address: `http://127.0.0.1:${port}`,
    port,
    stores,
    targets: fleet.mappings * (fleet.isDistinct === true ? 1 : fleet.namespaces.length),
    keys: fleet.mappings * (fleet.fields ?? FIELDS).length,
    env: { ...stores.aws.env, ...stores.vault.env, SECRETBRIDGE_CONFIG: './config' },
  };
}

const KINDS = ['aws', 'vault'] as const;
type StoreKind = (typeof KINDS)[number];

function keysOf(fleet: Fleet, kind: StoreKind): readonly string[] {
  const own = Array.from({ length: fleet.mappings }, (_, n) => n).filter(
    (n) => storeOf(n, fleet.stores) === kind,
  );
  return own.flatMap((n) => keysOfMapping(n, fleet));
}

function keysOfMapping(n: number, { fields = FIELDS }: Fleet): readonly string[] {
  return fields.map((field) => keyName(n, field));
}

function namespacesOf(n: number, { namespaces, isDistinct }: Fleet): readonly string[] {
  return isDistinct === true ? namespaces.slice(n % namespaces.length).slice(0, 1) : namespaces;
}

function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) =>
    items.slice(n * size, (n + 1) * size),
  );
}

function storeOf(mapping: number, stores: readonly StoreKind[] = KINDS): StoreKind {
  return stores[mapping % stores.length] ?? 'vault';
}

/** Returns random text, so that compression has no effect. */
function bigValues(keys: readonly string[], bytes: number): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key) => [key, randomBytes(Math.ceil(bytes / 2)).toString('hex')]));
}

function configOf(
  { refresh, engine = 'memory' }: Fleet,
  stores: FleetWorkspace['stores'],
  lab: Lab,
  port: number,
): object {
  return {
    ...baseConfig({ lab, port, engine, refresh }),
    audit: { store: { kind: 'sqlite', path: '../state/audit.db' } },
    keys: { fingerprint: [{ file: '../shared.key' }] },
    stores: [
      {
        name: 'aws',
        kind: 'aws-secrets-manager',
        region: 'eu-west-1',
        endpoint: stores.aws.address,
        auth: {
          method: 'static',
          accessKeyId: { env: 'BENCH_KEY_ID' },
          secretAccessKey: { env: 'BENCH_SECRET_KEY' },
        },
        tls: { caFile: '../aws.pem' },
      },
      {
        name: 'vault',
        kind: 'vault',
        address: stores.vault.address,
        mount: 'secret',
        kvVersion: 2,
        auth: { method: 'appRole', roleId: { env: 'BENCH_ROLE_ID' }, secretId: { env: 'BENCH_SECRET_ID' } },
        // The limits are high, so that the benchmark measures memory and CPU and not the rate limit.
        limits: { requestsPerSecond: 2_000, concurrency: 16 },
        tls: { caFile: '../vault.pem' },
      },
    ],
  };
}

export function mappingOf(
  n: number,
  namespaces: readonly string[],
  fields: readonly string[],
  stores?: readonly StoreKind[],
): { readonly name: string; readonly target: object; readonly data: Readonly<Record<string, object>> } {
  const store = storeOf(n, stores);
  const property = store === 'vault' ? { property: 'value' } : {};
  return {
    name: `app-${n}`,
    target: { namespaces: [...namespaces] },
    data: Object.fromEntries(fields.map((field) => [field, { store, key: keyName(n, field), ...property }])),
  };
}

/** Returns the text of a mapping as people write it, with one line for each source. */
function mappingText(n: number, fleet: Fleet): string {
  const { fields = FIELDS, stores } = fleet;
  const { name, data } = mappingOf(n, [], fields, stores);
  const sources = Object.entries(data).map(([key, source]) => {
    const members = Object.entries(source).map(([member, value]) => `${member}: ${value}`);
    return `      ${key}: { ${members.join(', ')} }\n`;
  });
  const namespaces = namespacesOf(n, fleet).join(', ');
  return `  - name: ${name}\n    target: { namespaces: [${namespaces}] }\n    data:\n${sources.join('')}`;
}

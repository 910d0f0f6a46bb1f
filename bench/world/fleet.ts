import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
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
}

export interface FleetWorkspace extends Workspace {
  readonly address: string;
  readonly port: number;
  readonly targets: number;
  /** The number of distinct keys, in both stores together. */
  readonly keys: number;
  readonly stores: { readonly aws: RunningFakeStore; readonly vault: RunningFakeStore };
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
  await writeFile(join(folder, 'secretbridge.yaml'), stringify(configOf(fleet, stores, lab, port)));
  return {
    folder,
    address: `http://127.0.0.1:${port}`,
    port,
    stores,
    targets: fleet.mappings * fleet.namespaces.length,
    keys: fleet.mappings * (fleet.fields ?? FIELDS).length,
    env: { ...stores.aws.env, ...stores.vault.env },
  };
}

const KINDS = ['aws', 'vault'] as const;
type StoreKind = (typeof KINDS)[number];

function keysOf({ mappings, fields = FIELDS, stores }: Fleet, kind: StoreKind): readonly string[] {
  const own = Array.from({ length: mappings }, (_, n) => n).filter((n) => storeOf(n, stores) === kind);
  return own.flatMap((n) => fields.map((field) => keyName(n, field)));
}

function storeOf(mapping: number, stores: readonly StoreKind[] = KINDS): StoreKind {
  return stores[mapping % stores.length] ?? 'vault';
}

/** Returns random text, so that compression has no effect. */
function bigValues(keys: readonly string[], bytes: number): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key) => [key, randomBytes(Math.ceil(bytes / 2)).toString('hex')]));
}

function configOf(
  { mappings, namespaces, refresh, engine = 'memory', fields = FIELDS, stores: used }: Fleet,
  stores: FleetWorkspace['stores'],
  lab: Lab,
  port: number,
): object {
  return {
    ...baseConfig({ lab, port, engine, refresh }),
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
        tls: { caFile: './aws.pem' },
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
        tls: { caFile: './vault.pem' },
      },
    ],
    mappings: Array.from({ length: mappings }, (_, n) => mappingOf(n, namespaces, fields, used)),
  };
}

export function mappingOf(
  n: number,
  namespaces: readonly string[],
  fields: readonly string[],
  stores?: readonly StoreKind[],
): object {
  const store = storeOf(n, stores);
  const property = store === 'vault' ? { property: 'value' } : {};
  return {
    name: `app-${n}`,
    target: { namespaces: [...namespaces] },
    data: Object.fromEntries(fields.map((field) => [field, { store, key: keyName(n, field), ...property }])),
  };
}

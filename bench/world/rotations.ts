import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../test/integration/services/free-port.ts';
import { startRedis } from '../../test/integration/services/redis.ts';
import { createBareWriter } from '../floor/read-write.ts';
import type { BenchOptions } from '../harness/row.ts';
import { baseConfig } from './base-config.ts';
import { createPost, openFourStores, type RotatedStore } from './four-stores.ts';
import type { Engine, Lab } from './lab.ts';
import { startProgram } from './program.ts';
import { TARGET_CHANGED } from './runs.ts';
import { FIELD, type SecretWatch, watchSecrets } from './secret-watch.ts';
import { waitUntil } from './wait.ts';

/** A running service with four stores, and a watch on the Secrets that it writes. */
export interface Rotations extends AsyncDisposable {
  readonly stores: readonly RotatedStore[];
  readonly witness: SecretWatch;
  keys(store: RotatedStore): readonly string[];
  /**
   * Puts a new value into the store and optionally sends the change event. Returns the time from the new value in the
   * store to the new value in the Secret, in milliseconds.
   */
  rotate(store: RotatedStore, key: string, event: boolean): Promise<number>;
  /**
   * Measures the floor: one read of the key, and one write of a Secret in another namespace, both without the program.
   */
  bare(store: RotatedStore, key: string): Promise<number>;
}

export interface RotationsOptions {
  readonly engine: Engine;
  readonly refresh: string;
  readonly keysOfEach: number;
  readonly events: boolean;
}

export async function openRotations(
  lab: Lab,
  options: RotationsOptions,
  hooks: Pick<BenchOptions, 'onServer'>,
): Promise<Rotations> {
  await using stack = new AsyncDisposableStack();
  const port = await freePort();
  const four = stack.use(await openFourStores(lab, createPost(port), hooks));
  const [namespace = '', other = ''] = await lab.namespaces(2);
  const redis = options.engine === 'redis' ? stack.use(await startRedis()) : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-rotations-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  await writeFile(join(folder, 'shared.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  for (const { name, ca } of four.all) if (ca !== undefined) await writeFile(join(folder, `${name}.pem`), ca);
  const keys = (store: RotatedStore) =>
    Array.from({ length: options.keysOfEach }, (_, n) => `${store.name}-${n}`);
  for (const store of four.all)
    await store.put(Object.fromEntries(keys(store).map((key) => [key, `${key}#0`])));
  const mappings = four.all.flatMap((store) =>
    keys(store).map((key) => ({ name: key, ...mappingOf(store, key, namespace) })),
  );
  const config = {
    ...baseConfig({ lab, port, engine: options.engine, refresh: options.refresh }),
    ...(options.events ? { events: Object.assign({}, ...four.all.map(({ events }) => events)) } : {}),
    stores: four.all.map(storeOf),
    mappings,
  };
  await writeFile(join(folder, 'secretbridge.yaml'), stringify(config, { aliasDuplicateObjects: false }));
  const witness = stack.use(await watchSecrets(lab, namespace));
  const write = await createBareWriter(lab, other);
  const run = stack.use(
    await startProgram(['serve'], {
      folder,
      env: {
        ...Object.assign({}, ...four.all.map(({ env }) => env)),
        ...(redis === undefined ? {} : { REDIS_URL: redis.address }),
      },
    }),
  );
  await run.untilLogged(TARGET_CHANGED, mappings.length);
  if (options.events)
    await waitUntil('connecting to the event channels', run, async () =>
      four.all.every((store) => store.isConnected()),
    );
  const rounds = new Map<string, number>();
  const next = (key: string): string => {
    const round = (rounds.get(key) ?? 0) + 1;
    rounds.set(key, round);
    return `${key}#${round}`;
  };
  const owned = stack.move();
  return {
    stores: four.all,
    witness,
    keys,
    async rotate(store, key, event) {
      const value = next(key);
      const seen = witness.sees(key, value);
      await store.put({ [key]: value });
      const at = performance.now();
      if (event) await store.sendEvent(key);
      // The Secret may change before the request that sends the event has returned.
      return Math.max(0, (await seen) - at);
    },
    async bare(store, key) {
      const startedAt = performance.now();
      await store.read(key);
      await write(key, next(`bare-${key}`));
      return performance.now() - startedAt;
    },
    async [Symbol.asyncDispose]() {
      await run.stop();
      await owned.disposeAsync();
    },
  };
}

export function storeOf({ name, config, ca }: RotatedStore): object {
  return { name, ...config, ...(ca === undefined ? {} : { tls: { caFile: `./${name}.pem` } }) };
}

export function mappingOf({ name, property }: RotatedStore, key: string, namespace: string): object {
  const source = { store: name, key, ...(property === undefined ? {} : { property }) };
  return { target: { namespace }, data: { [FIELD]: source } };
}

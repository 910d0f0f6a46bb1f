import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../test/integration/services/free-port.ts';
import { createRequest } from '../../test/integration/services/http.ts';
import { startRedis } from '../../test/integration/services/redis.ts';
import { createBareWriter } from '../floor/read-write.ts';
import { BenchError } from '../harness/error.ts';
import { baseConfig } from './base-config.ts';
import { LATENCY_MS } from './four-stores.ts';
import type { Engine, Lab } from './lab.ts';
import { startProgram } from './program.ts';
import { TARGET_CHANGED } from './runs.ts';
import { FIELD, watchSecrets } from './secret-watch.ts';

/** A running service. All its targets can be made due at the same time. */
export interface LoadedService extends AsyncDisposable {
  /**
   * Changes every value in the store. Returns after a sweep has found the changes and the first target is written. All
   * other targets still wait.
   */
  beginRush(): Promise<Rush>;
  /** Adds a mapping to the configuration. Returns the time until its Secret exists, in milliseconds. */
  addMapping(): Promise<number>;
  /** Measures one read of the store plus one write of a Secret, both without the program, in milliseconds. */
  bare(): Promise<number>;
}

export interface Rush {
  /** Returns the number of targets that still have to be written. */
  remaining(): number;
  readonly done: Promise<void>;
}

const STORE = 'store';
const REFRESH = '5s';

export async function openLoadedService(
  lab: Lab,
  { engine, mappings: count }: { readonly engine: Engine; readonly mappings: number },
): Promise<LoadedService> {
  await using stack = new AsyncDisposableStack();
  const aws = await lab.fakeStore('aws');
  await aws.delay(LATENCY_MS);
  const port = await freePort();
  const [namespace = '', other = ''] = await lab.namespaces(2);
  const redis = engine === 'redis' ? stack.use(await startRedis()) : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-busy-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  await writeFile(join(folder, 'shared.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'store.pem'), aws.ca);
  const names = Array.from({ length: count }, (_, n) => `busy-${n}`);
  const put = (round: number) => aws.put(Object.fromEntries(names.map((name) => [name, `${name}#${round}`])));
  await put(0);
  const mappingOf = (name: string, refresh: string) => ({
    name,
    target: { namespace },
    data: { [FIELD]: { store: STORE, key: name } },
    refresh,
  });
  const write = (file: string, content: object) =>
    writeFile(join(folder, file), stringify(content, { aliasDuplicateObjects: false }));
  const config = join(folder, 'config');
  await mkdir(config);
  await write('config/secretbridge.yaml', {
    ...baseConfig({ lab, port, engine, refresh: REFRESH }),
    audit: { store: { kind: 'sqlite', path: join(folder, 'state', 'audit.db') } },
    keys: { fingerprint: [{ file: join(folder, 'shared.key') }] },
    stores: [
      {
        name: STORE,
        kind: 'aws-secrets-manager',
        region: 'eu-west-1',
        endpoint: aws.address,
        auth: {
          method: 'static',
          accessKeyId: { env: 'BENCH_KEY_ID' },
          secretAccessKey: { env: 'BENCH_SECRET_KEY' },
        },
        tls: { caFile: join(folder, 'store.pem') },
      },
    ],
    mappings: names.map((name) => mappingOf(name, REFRESH)),
  });
  const witness = stack.use(await watchSecrets(lab, namespace));
  const writeBare = await createBareWriter(lab, other);
  const toAws = createRequest({ address: aws.address, ca: aws.ca });
  const run = stack.use(
    await startProgram(['serve', '--config', config], {
      folder,
      env: { ...aws.env, ...(redis === undefined ? {} : { REDIS_URL: redis.address }) },
    }),
  );
  await run.untilLogged(TARGET_CHANGED, count);
  const added: object[] = [];
  let round = 0;
  const owned = stack.move();
  return {
    async beginRush() {
      const unwritten = new Set(names);
      const begun = Promise.withResolvers<void>();
      const over = Promise.withResolvers<void>();
      const stop = witness.onChange((name) => {
        unwritten.delete(name);
        begun.resolve();
        if (unwritten.size > 0) return;
        stop();
        over.resolve();
      });
      round += 1;
      await put(round);
      await begun.promise;
      return { remaining: () => unwritten.size, done: over.promise };
    },
    async addMapping() {
      const name = `new-${added.length}`;
      await aws.put({ [name]: name });
      added.push(mappingOf(name, '1h'));
      const seen = witness.sees(name, name);
      const startedAt = performance.now();
      // Deployments replace files and do not write them in place.
      await write('new.yaml', { apiVersion: 'secretbridge.dev/v1', mappings: added });
      await rename(join(folder, 'new.yaml'), join(folder, 'config/new.yaml'));
      return (await seen) - startedAt;
    },
    async bare() {
      const startedAt = performance.now();
      const headers = { 'x-amz-target': 'secretsmanager.GetSecretValue' };
      const answer = await toAws('POST', '/', JSON.stringify({ SecretId: names[0] }), headers);
      if (answer.status !== 200) throw new BenchError(`the store answered with ${answer.status}`);
      await writeBare(`bare-${performance.now()}`, 'value');
      return performance.now() - startedAt;
    },
    async [Symbol.asyncDispose]() {
      await run.stop();
      await owned.disposeAsync();
    },
  };
}

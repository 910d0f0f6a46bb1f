import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startServiceProcess, within } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';

interface Case {
  readonly redis?: Parameters<typeof startRedis>[0];
  /** Whether to connect through three sentinel addresses. Only the second sentinel answers. */
  readonly sentinel?: boolean;
  readonly user?: string;
  readonly state: 'up' | 'degraded' | 'down';
}

/** A sentinel with a quorum of one for this master. */
function startSentinel({ port }: RedisServer): Promise<RedisServer> {
  return startRedis({ sentinel: true, config: [`sentinel monitor main 127.0.0.1 ${port} 1`] });
}

/** Creates a folder with a configuration that contains this `engine`. */
async function prepare(engine: string) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-console-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const fingerprint = join(folder, 'fingerprint.key');
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets', 'app'), 'a value');
  await writeFile(fingerprint, randomBytes(32).toString('base64'), { mode: 0o600 });
  await writeFile(
    join(folder, 'secretbridge.yaml'),
    `apiVersion: secretbridge.dev/v1
instance: quiet
cluster: { kind: directory, path: ./cluster }
engine: ${engine}
audit: { store: { kind: sqlite, path: ./audit.db } }
keys: { fingerprint: [ { file: ./fingerprint.key } ], checkpoint: { file: ./checkpoint.key } }
http: { listen: '${listen}', tokens: [ { name: ann, role: operator, token: { env: ANN_TOKEN } } ] }
stores: [ { name: local, kind: files, path: ./secrets } ]
mappings: [ { name: app, target: { namespace: apps }, data: { A: { store: local, key: app } } } ]
`,
  );
  return {
    folder,
    address: `http://${listen}`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

it.each<[string, Case]>([
  ['with two of three sentinels down', { sentinel: true, state: 'up' }],
  ['that may drop jobs', { redis: { args: ['--maxmemory-policy', 'volatile-lru'] }, state: 'degraded' }],
  [
    'whose user may not run INFO',
    { redis: { config: ['user bridge on >pw ~* &* +@all -info'] }, user: 'bridge:pw@', state: 'down' },
  ],
])(
  'a service writes only structured log lines if it uses a Redis %s',
  async (_, { redis, sentinel, user = '', state }) => {
    await using server = await startRedis(redis);
    await using stack = new AsyncDisposableStack();
    const runningSentinel = sentinel && stack.use(await startSentinel(server));
    const unusedPorts = [await freePort(), await freePort()];
    const addresses =
      runningSentinel &&
      [unusedPorts[0], runningSentinel.port, unusedPorts[1]].map((port) => `'127.0.0.1:${port}'`);
    const sentinelYaml = addresses ? `, sentinel: { name: main, addresses: [${addresses.join(', ')}] }` : '';
    await using setup = await prepare(`{ kind: redis, url: { env: REDIS_URL }${sentinelYaml} }`);
    const token = randomBytes(24).toString('hex');
    await using served = await startServiceProcess({
      cwd: setup.folder,
      env: { ANN_TOKEN: token, REDIS_URL: server.address.replace('//', `//${user}`) },
      address: setup.address,
      token,
    });
    await within(20_000, async () => expect((await served.status()).engine.state).toBe(state));
    if (state !== 'down')
      await within(20_000, async () =>
        expect(await readFile(join(setup.folder, 'cluster', 'apps', 'app.yaml'), 'utf8')).toContain('A:'),
      );
    const { code, stdout, stderr } = await served.stop();
    expect(code).toBe(0);
    expect(stdout).toBe('');
    const foreignLines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{"level":'));
    expect(foreignLines).toEqual([]);
  },
);

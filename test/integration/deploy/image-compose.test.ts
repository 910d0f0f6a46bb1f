import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createDatabase } from '../audit/database.ts';
import { freePort } from '../services/free-port.ts';
import { kubernetes, localstack, openbao, postgres, redis } from '../services/inject.ts';
import { until } from '../services/service.ts';
import { findSkipReason, type ImageRoot, openImageRoot, ROOT } from './image-root.ts';

/**
 * Replaces parts of a file. Throws unless each part occurs exactly once, because the test could otherwise use the
 * address of another server.
 */
function replaceParts(file: string, parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts).reduce((whole, [from, to]) => {
    expect(whole.split(from), from).toHaveLength(2);
    return whole.replace(from, to);
  }, file);
}

/**
 * Starts the image with the mounts of Compose and the addresses of this run's servers. Sweeps are rare, so none runs
 * before the requested sync.
 */
async function openCompose(port: number) {
  const config = await readFile(join(ROOT, 'deploy/compose/config/secretbridge.yaml'), 'utf8');
  return openImageRoot(async (folder) => {
    await cp(join(ROOT, 'deploy/compose/seed.ts'), join(folder, 'app/seed.ts'));
    await writeFile(
      join(folder, 'etc/secretbridge/secretbridge.yaml'),
      replaceParts(config, {
        'http://openbao:8200': openbao().address,
        'http://localstack:4566': localstack().address,
        '0.0.0.0:8080': `0.0.0.0:${port}`,
        'refresh: 30s': 'refresh: 1h',
      }),
    );
    const kubeconfig = join(folder, 'output/kubeconfig.yaml');
    await mkdir(dirname(kubeconfig));
    await cp(kubernetes().kubeconfig, kubeconfig);
    await chmod(kubeconfig, 0o644);
  });
}

const secret = async (name: string): Promise<Readonly<Record<string, string>>> => {
  const path = `/api/v1/namespaces/compose-demo/secrets/${name}`;
  const { body } = await kubernetes().request<{ data?: Record<string, string> }>('GET', path);
  const entries = Object.entries(body.data ?? {});
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
};

async function seed(root: ImageRoot, env: Readonly<Record<string, string>>): Promise<void> {
  const ended = await root.run(['/usr/local/bin/node', '/app/seed.ts'], {
    ...env,
    VAULT_ADDR: openbao().address,
    VAULT_TOKEN: openbao().token,
    AWS_ENDPOINT_URL: localstack().address,
    AWS_REGION: 'eu-west-1',
    KUBECONFIG: '/output/kubeconfig.yaml',
    CLUSTER_ADDRESS: kubernetes().address,
  });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
}

describe('the image with the configuration and the seed of docker-compose.yml', () => {
  it('syncs the values of both stores into the cluster, through Redis and PostgreSQL', async ({ skip }) => {
    const skipReason = await findSkipReason();
    if (skipReason !== undefined) return skip(skipReason);
    if (new URL(redis().url).password !== '') return skip('the bridge of Compose itself may be running');
    const port = await freePort();
    await using root = await openCompose(port);
    await using database = await createDatabase(postgres());
    const env: Record<string, string> = {
      ...(parseEnv(await readFile(join(ROOT, 'deploy/compose/dev.env'), 'utf8')) as Record<string, string>),
      DATABASE_URL: database.url,
      REDIS_URL: redis().url,
    };
    await seed(root, env);
    const child = root.start([...root.image.entrypoint, ...root.image.command], env);
    const ended = once(child, 'close');
    const logs = child.stderr === null ? '' : text(child.stderr);
    try {
      const { request } = openbao();
      const path = '/v1/secret/data/orders/db';
      await until('The first Secrets', 60_000, async () => 'API_KEY' in (await secret('orders-api')));
      await until('The other Secret', 60_000, async () => 'DB_USER' in (await secret('orders-db')));
      const { body } = await request<{ data: { data: { username: string; password: string } } }>('GET', path);
      const { username, password } = body.data.data;
      expect(await secret('orders-db')).toEqual({ DB_USER: username, DB_PASSWORD: password });
      expect((await secret('orders-api')).API_KEY).toHaveLength(24);
      expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);

      // The steps of the Compose page: rotate a value, sync inside the container, and check the result.
      await request('POST', path, { data: { username, password: 'rotated' } });
      const program = '/app/bin/secretbridge.js';
      const runCommand = (...args: readonly string[]) =>
        root.run(['/usr/local/bin/node', program, ...args, '--config', '/etc/secretbridge/'], env);
      const synced = await runCommand(
        'sync',
        '--mapping',
        'orders-db',
        '--server',
        `http://127.0.0.1:${port}`,
      );
      expect(synced).toMatchObject({ code: 0, stdout: expect.stringContaining('DB_PASSWORD') });
      expect((await secret('orders-db')).DB_PASSWORD).toBe('rotated');
      const status = await runCommand('status', '--output', 'json');
      expect(JSON.parse(status.stdout)).toMatchObject({
        instance: 'compose',
        engine: { kind: 'redis', state: 'up' },
        audit: { kind: 'postgres', state: 'up' },
        targets: [{ state: 'synced' }, { state: 'synced' }],
      });
      expect(await runCommand('audit', 'verify')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('The chain is intact'),
      });

      // A second `docker compose up` runs the seed again. The seed must keep the values and create a new login.
      const before = await Promise.all([secret('orders-db'), secret('orders-api')]);
      await seed(root, env);
      expect(await runCommand('plan')).toMatchObject({ code: 0 });
      expect(await Promise.all([secret('orders-db'), secret('orders-api')])).toEqual(before);
    } finally {
      child.kill('SIGTERM');
    }
    expect({
      ended: await ended,
      errors: (await logs).split('\n').filter((line) => /"level":"error"/.test(line)),
    }).toEqual({
      ended: [0, null],
      errors: [],
    });
  }, 180_000);
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadCompose } from './compose-spec.ts';

const FILE = resolve(import.meta.dirname, '../../../docker-compose.yml');

describe('docker-compose.yml, read by the Compose loader', () => {
  it('docker-compose.yml contains the expected services', async () => {
    const composed = await loadCompose(FILE);
    expect(composed).toMatchObject({ ok: true });
    if (!composed.ok) return;
    const { services } = composed.model;
    expect(Object.keys(services).toSorted()).toEqual([
      ...['azure', 'bridge', 'kubernetes', 'localstack', 'openbao', 'postgres', 'redis', 'seed'],
    ]);
    for (const { ports = [] } of Object.values(services))
      for (const { host_ip } of ports) expect(host_ip).toBe('127.0.0.1');
    // The loader expands variables and the short syntax.
    expect(services.postgres?.environment).toMatchObject({ POSTGRES_USER: 'secretbridge' });
    expect(services.bridge?.depends_on).toMatchObject({
      seed: { condition: 'service_completed_successfully' },
      redis: { condition: 'service_healthy' },
    });
    expect(services.bridge?.healthcheck?.test?.slice(0, 2)).toEqual(['CMD', '/usr/local/bin/node']);
    expect(services.kubernetes?.volumes).toEqual([
      expect.objectContaining({ type: 'bind', source: resolve(FILE, '../state/compose'), target: '/output' }),
    ]);
  });

  it.each([
    ['an unknown field', 'retries: 60', 'retrys: 60', 'retrys'],
    ['a missing service', 'seed: { condition', 'seeds: { condition', 'seeds'],
    ['a missing volume', 'state:/var/lib', 'stat:/var/lib', 'stat'],
    ['an invalid port', "'127.0.0.1:8200:8200'", "'127.0.0.1:8200:82000000'", '82000000'],
  ])('the loader rejects a docker-compose.yml with %s', async (_, from, to, named) => {
    const folder = mkdtempSync(join(tmpdir(), 'secretbridge-compose-'));
    try {
      const text = readFileSync(FILE, 'utf8');
      // The loader looks for environment files next to the Compose file.
      const whole = text.replaceAll('deploy/compose/dev.env', resolve(FILE, '../deploy/compose/dev.env'));
      writeFileSync(join(folder, 'docker-compose.yml'), whole);
      expect(await loadCompose(join(folder, 'docker-compose.yml'))).toMatchObject({ ok: true });
      writeFileSync(join(folder, 'docker-compose.yml'), whole.replace(from, to));
      expect(await loadCompose(join(folder, 'docker-compose.yml'))).toMatchObject({
        ok: false,
        problem: expect.stringContaining(named),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

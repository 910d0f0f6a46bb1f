import { randomUUID } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { createManagedStore } from '../../../src/providers/managed-store.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { openbao } from '../services/inject.ts';
import { call, createMount, urlOf } from './vault-harness.ts';

const QUOTA = 100;
const READS = 250;

it('reads everything from a server with a quota, and exceeds the quota for less than a second', async () => {
  const bao = openbao();
  const mount = await createMount(bao, 2);
  await call(bao, 'POST', urlOf(mount, 2, 'a'), { data: { x: '1' } });
  const quota = `sys/quotas/rate-limit/${randomUUID()}`;
  await call(bao, 'POST', quota, { path: `${mount}/`, rate: QUOTA, interval: '1s' });
  onTestFinished(() => call(bao, 'DELETE', quota));
  const config = VaultConfig.parse({
    kind: 'vault',
    address: bao.address,
    mount,
    auth: { method: 'token', token: { env: 'TOKEN' } },
  });
  const throttledAt: number[] = [];
  const deps = testDeps({ env: { TOKEN: bao.token } });
  await using store = createManagedStore({
    ...deps,
    limits: { requestsPerSecond: 1_000, concurrency: 16, timeoutMs: 10_000 },
    create: (ofPolicy) => vault.create(config, ofPolicy),
    onCall: ({ outcome }) => {
      if (outcome === 'THROTTLED') throttledAt.push(performance.now());
    },
    onChange: () => undefined,
  });
  const refs = Array.from({ length: READS }, () => ({ key: 'a' }));
  const results = await store.use(
    (provider) => provider.read(refs),
    () => 'unclear',
  );
  expect(new Set(results.map(({ kind }) => kind))).toEqual(new Set(['found']));
  expect(throttledAt.length).toBeGreaterThan(0);
  expect(Math.max(...throttledAt) - Math.min(...throttledAt)).toBeLessThan(1_000);
});

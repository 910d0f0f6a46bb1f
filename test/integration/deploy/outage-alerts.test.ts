import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBench } from '../../cli/harness.ts';
import { openVault } from '../e2e/vault.ts';
import { startServiceProcess, within } from '../service/service-process.ts';
import { openTcpGate } from '../service/tcp-gate.ts';
import { freePort } from '../services/free-port.ts';
import { findPrometheus, startPrometheus } from '../services/prometheus.ts';
import { CHART } from './chart.ts';

// A Prometheus scrapes the service every second and evaluates the rules of the chart while a store is down. By default,
// all durations in the rules are divided, so that the outage takes less than a minute. With SECRETBRIDGE_TEST_REAL_TIME=1
// the rules stay as they are, and the outage takes a quarter of an hour.

const FACTOR = process.env.SECRETBRIDGE_TEST_REAL_TIME === '1' ? 1 : 30;
const MINUTE_S = 60 / FACTOR;

const TOKEN = 'a-token-of-ann-that-is-long-enough';

const programs = await findPrometheus();
const NOTE = programs === undefined ? ': needs apt-get to fetch Prometheus' : '';

/** Returns the rules with all durations divided. Limits in seconds stay, because no test waits an hour. */
function dividedRules(): string {
  const rules = readFileSync(join(CHART, 'files/alerts.yaml'), 'utf8');
  return rules.replaceAll(/(for: |\[)(\d+)m/g, (_, before, minutes) => `${before}${minutes * MINUTE_S}s`);
}

it.skipIf(programs === undefined)(
  `the alerts about a store fire in order during its outage, and end after it${NOTE}`,
  async () => {
    const vault = await openVault();
    await vault.put('db', { password: 'first-s3cr3t' });
    await using gate = await openTcpGate(vault.address);
    const target = `127.0.0.1:${await freePort()}`;
    await using bench = await openBench(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
http: { listen: '${target}', tokens: [ { name: ann, role: operator, token: { env: TOKEN } } ] }
stores:
  - name: vault
    kind: vault
    address: ${gate.address}
    auth: { method: appRole, mountPath: ${vault.prefix}, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }
defaults: { refresh: 5s }
mappings:
  - name: db
    target: { namespace: apps }
    data: { PASSWORD: { store: vault, key: ${vault.prefix}/db, property: password } }
`);
    const env = { TOKEN, ...vault.env };
    const address = `http://${target}`;
    await using service = await startServiceProcess({ cwd: bench.folder, env, address, token: TOKEN });
    await within(20_000, async () => expect((await service.target('db'))?.state).toBe('synced'));
    await using prometheus = await startPrometheus(programs ?? '', { target, rules: dividedRules() });
    await within(60_000, async () => expect(await prometheus.isScraping()).toBe(true));

    const began = Date.now() / 1000;
    gate.disconnect();
    await within((20 * MINUTE_S + 60) * 1000, async () =>
      expect(await prometheus.firing()).toContain('SecretbridgeTargetFails'),
    );
    expect((await service.get('/readyz')).status).toBe(200);
    await vault.put('db', { password: 'second-s3cr3t' });
    const ended = Date.now() / 1000;
    gate.restore();
    await within(60_000, async () =>
      expect(await bench.read('cluster/apps/db.yaml')).toContain(
        Buffer.from('second-s3cr3t').toString('base64'),
      ),
    );
    await within(60_000, async () => expect(await prometheus.firing()).toEqual([]));

    const firing = await prometheus.firingTimes();
    expect([...firing.keys()].sort()).toEqual([
      'SecretbridgeBreakerOpen',
      'SecretbridgeStoreDown',
      'SecretbridgeTargetFails',
    ]);
    expect(firing.get('SecretbridgeTargetFails')?.[0]).toBeGreaterThan(
      firing.get('SecretbridgeStoreDown')?.[0] ?? Number.POSITIVE_INFINITY,
    );
    for (const [name, minutes] of [
      ['SecretbridgeStoreDown', 10],
      ['SecretbridgeBreakerOpen', 10],
      ['SecretbridgeTargetFails', 15],
    ] as const) {
      const times = firing.get(name) ?? [];
      const [first = 0, last = 0] = [times[0], times.at(-1)];
      expect(first - began).toBeGreaterThanOrEqual(minutes * MINUTE_S);
      // The service itself reports an outage within a minute.
      expect(first - began).toBeLessThan(minutes * MINUTE_S + 60);
      // Each alert fires without a gap, and until the end of the outage.
      expect(Math.abs(last - first - (times.length - 1))).toBeLessThan(5);
      expect(last).toBeGreaterThan(ended - 3);
    }
    expect((await service.stop()).code).toBe(0);
  },
  FACTOR === 1 ? 1_800_000 : 240_000,
);

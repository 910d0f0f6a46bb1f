import { describe, expect, it } from 'vitest';
import { openBench } from '../../cli/harness.ts';
import { startAwsServer } from '../../fakes/aws-server.ts';

const MAPPINGS = 1_000;
const KEYS = 5;
/** Half a thousand batches of ten, and ten more requests. */
const MOST_CALLS = 510;

const nameOf = (mapping: number, key: number) => `/app/m${mapping}/k${key}`;

function configFor(address: string, count = MAPPINGS): string {
  const mappings = Array.from({ length: count }, (_, mapping) => {
    const data = Array.from(
      { length: KEYS },
      (__, key) => `K${key}: { store: parameters, key: ${nameOf(mapping, key)} }`,
    );
    return `  - { name: m${mapping}, target: { namespace: apps }, data: { ${data.join(', ')} } }\n`;
  });
  return `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores:
  - name: parameters
    kind: aws-parameter-store
    region: eu-west-1
    endpoint: ${address}
    auth: { method: static, accessKeyId: { env: KEY_ID }, secretAccessKey: { env: SECRET_KEY } }
    limits: { requestsPerSecond: 10000 }
mappings:
${mappings.join('')}`;
}

describe('the calls of a first sync from Parameter Store', () => {
  it('reads 1,000 mappings of 5 keys with at most 510 calls, and the next sync needs no more', async () => {
    await using server = await startAwsServer();
    for (let mapping = 0; mapping < MAPPINGS; mapping += 1)
      for (let key = 0; key < KEYS; key += 1)
        server.parameters.put(nameOf(mapping, key), `${mapping}.${key}`);
    await using bench = await openBench(configFor(server.address));
    const env = { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey };
    const sync = async () => {
      server.requests.length = 0;
      const { code, json } = await bench.runWith({ env }, 'sync', '--output', 'json');
      expect(code).toBe(0);
      expect(server.requests.length).toBeLessThanOrEqual(MOST_CALLS);
      return json;
    };
    expect(await sync()).toMatchObject({ ok: true, summary: { created: MAPPINGS, failed: 0 } });
    expect(await bench.read('cluster/apps/m999.yaml')).toContain(Buffer.from('999.4').toString('base64'));
    server.parameters.put(nameOf(7, 3), 'rotated');
    expect(await sync()).toMatchObject({ ok: true, summary: { updated: 1, unchanged: MAPPINGS - 1 } });
  });

  it('notices a new value of a parameter that was deleted and created again with the same version', async () => {
    await using server = await startAwsServer();
    for (let key = 0; key < KEYS; key += 1) server.parameters.put(nameOf(0, key), 'old');
    await using bench = await openBench(configFor(server.address, 1));
    const env = { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey };
    await bench.runWith({ env }, 'sync');
    server.parameters.remove(nameOf(0, 0));
    server.parameters.put(nameOf(0, 0), 'new');
    const { json } = await bench.runWith({ env }, 'sync', '--output', 'json');
    expect(json).toMatchObject({ summary: { updated: 1 } });
  });
});

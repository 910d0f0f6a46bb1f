import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../../conformance/queue.ts';
import { findLeaks, textMarker } from '../../leak-search.ts';
import { within } from '../service/service-process.ts';
import { base64, openWorld } from '../service/world.ts';
import { startRedis } from '../services/redis.ts';

const MARKERS = ['value', 'key', 'signature', 'type'].map((name) => textMarker(name));
const [VALUE = '', KEY = '', SIGNATURE = '', TYPE = ''] = MARKERS.map(({ bytes }) => bytes.toString());
const SECRET = textMarker('secret of the webhook');
const GRID_KEY = textMarker('key of the subscription');

const sign = (body: string, secret = SECRET.bytes.toString()) => {
  const time = Math.floor(Date.now() / 1_000);
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
};

it('writes only known names of an event to Redis, log, metrics and audit', {
  timeout: 120_000,
}, async () => {
  await using redis = await startRedis();
  const monitorOutput: string[] = [];
  const monitor = createConnection({ port: redis.port, host: '127.0.0.1' });
  monitor.on('data', (data) => void monitorOutput.push(data.toString('utf8')));
  monitor.write('MONITOR\r\n');
  await eventually(() => monitorOutput.length > 0);
  await using world = await openWorld({
    redisUrl: redis.address,
    postgres: true,
    granted: false,
    config: ({
      ns,
      prefix,
    }) => `  - { name: azure, kind: azure-key-vault, vaultUrl: 'https://127.0.0.1:1', auth: { method: managedIdentity } }
log: { level: debug }
events:
  webhooks: [ { name: ci, stores: [ vault ], secret: { file: ./hook.key } } ]
  eventGrid: [ { name: grid, store: azure, key: { file: ./grid.key } } ]
defaults: { refresh: 12h }
mappings:
  - { name: one, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/db, property: a } } }
`,
  });
  await writeFile(join(world.folder, 'hook.key'), SECRET.bytes, { mode: 0o600 });
  await writeFile(join(world.folder, 'grid.key'), GRID_KEY.bytes, { mode: 0o600 });
  await world.vault.put('db', { a: 'first' });
  await world.grant();
  await using served = await world.replica('a');
  await within(30_000, async () => expect((await world.secret('one'))?.data?.A).toBe(base64('first')));

  const base = served.address;
  const post = async (path: string, body: string, headers: Readonly<Record<string, string>>) =>
    (await fetch(`${base}${path}`, { method: 'POST', body, headers })).status;
  const hook = (body: string, signature = sign(body)) =>
    post('/events/webhook/ci', body, { 'x-secretbridge-signature': signature, 'x-note': VALUE });
  const key = `${world.prefix}/db`;
  const event = (data: object, type: string) =>
    JSON.stringify([{ specversion: '1.0', id: VALUE, type, data }]);
  const grid = (body: string, gridKey = GRID_KEY.bytes.toString()) =>
    post('/events/azure/grid', body, { 'aeg-sas-key': gridKey });
  await world.vault.put('db', { a: 'second' });
  expect(await hook(JSON.stringify({ store: 'vault', key }))).toBe(202);
  expect(await hook(JSON.stringify({ store: 'vault', key, value: VALUE }))).toBe(400);
  expect(await hook(JSON.stringify({ store: 'vault', key: KEY }))).toBe(202);
  expect(await hook(JSON.stringify({ store: 'vault', key }), `t=1,v1=${SIGNATURE}`)).toBe(401);
  expect(await post(`/events/webhook/${KEY}?key=${VALUE}`, VALUE, {})).toBe(404);
  const changed = 'Microsoft.KeyVault.SecretNewVersionCreated';
  expect(await grid(event({ VaultName: '127', ObjectName: KEY, Value: VALUE }, changed))).toBe(202);
  expect(await grid(event({ ObjectName: VALUE, [VALUE]: VALUE }, TYPE))).toBe(202);
  expect(await grid(VALUE)).toBe(400);
  expect(await grid('[]', SIGNATURE)).toBe(401);
  await within(10_000, async () => expect((await world.secret('one'))?.data?.A).toBe(base64('second')));

  // The audit records of an event carry the name of its intake.
  const { stdout } = await world.cli(
    'audit',
    'list',
    '--actor',
    'ci',
    '--output',
    'json',
    '--config',
    'a.yaml',
  );
  const { records } = JSON.parse(stdout) as {
    records: { action: string; actor: object; mapping?: string }[];
  };
  expect(records.map(({ action }) => action)).toContain('update');
  expect(new Set(records.map(({ actor }) => JSON.stringify(actor)))).toEqual(
    new Set([JSON.stringify({ kind: 'event', name: 'ci' })]),
  );
  const status = (await served.get('/api/v1/status')).text;
  expect(JSON.parse(status)).toMatchObject({
    events: [
      { kind: 'eventGrid', name: 'grid', state: 'up', lastEvent: expect.any(String) },
      { kind: 'webhook', name: 'ci', state: 'up', lastEvent: expect.any(String) },
    ],
  });

  const names = (await redis.command('KEYS', '*')).split('\r\n').filter((line) => /^[^*$]/.test(line));
  expect(names.length).toBeGreaterThan(0);
  const dumps = await Promise.all(names.map(async (name) => `${name} ${await redis.command('DUMP', name)}`));
  const { text: metrics } = await served.get('/metrics');
  const run = await served.stop();
  monitor.destroy();
  const places = {
    dumps: dumps.join('\n'),
    monitor: monitorOutput.join(''),
    metrics,
    status,
    stdout: run.stdout,
    stderr: run.stderr,
    audit: JSON.stringify(await world.records()),
  };
  const leaks = findLeaks(
    Object.entries(places).map(([name, bytes]) => ({ name, bytes })),
    [...MARKERS, SECRET, GRID_KEY],
  );
  expect(leaks).toEqual([]);
  // Proves that the search works, because this name must be present.
  expect(places.monitor).toContain('one');
});

import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import {
  binaryMarker,
  filesBelow,
  findLeaks,
  type Marker,
  markerOf,
  type Place,
  textMarker,
} from '../../leak-search.ts';
import type { Raw } from '../e2e/bench.ts';
import { recordRedis } from '../queue/harness.ts';
import { kubernetes, openbao } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { startRedis } from '../services/redis.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const VALUES = {
  first: textMarker('a value'),
  second: textMarker('a rotated value', (core) => `"q" \\ 'x'\n${core}\t ü✓𝄞 %20 <&>`),
  member: textMarker('a member of an object'),
  binary: binaryMarker('bytes'),
  byHand: textMarker('what somebody put in by hand'),
};
/** Texts in events that the service must drop. */
const EVENT = {
  value: textMarker('value of an event'),
  key: textMarker('unknown key of an event'),
  signature: textMarker('signature of an event'),
  type: textMarker('type of an event'),
};
const KEYS = { hook: textMarker('key of the webhook'), grid: textMarker('key of the subscription') };
const text = ({ bytes }: Marker) => bytes.toString('utf8');

const config: WorldOptions['config'] = ({ prefix, ns }) => {
  const target = (more = '') => `target: { namespace: ${ns('apps')}${more} }`;
  const source = (property: string) => `{ store: vault, key: ${prefix}/app, property: ${property} }`;
  return `  - { name: azure, kind: azure-key-vault, vaultUrl: 'https://127.0.0.1:1', auth: { method: managedIdentity } }
events:
  webhooks: [ { name: ci, stores: [ vault ], secret: { file: ./hook.key } } ]
  eventGrid: [ { name: grid, store: azure, key: { file: ./grid.key } } ]
defaults: { refresh: 2s }
absence: { readings: 2, over: 1s }
mappings:
  - name: all
    ${target()}
    data:
      A: ${source('a')}
      B: { store: vault, key: ${prefix}/app, property: b, decode: base64 }
      C: ${source('c.inner')}
  - name: spread
    ${target()}
    dataFrom: [ { store: vault, key: ${prefix}/app } ]
  - name: adopted
    ${target()}
    onConflict: adopt
    data: { A: ${source('a')} }
  - name: refused
    ${target()}
    data: { A: ${source('a')} }
  - name: rejected
    ${target(', labels: { team: x }')}
    data: { A: ${source('a')} }
  - name: wrong
    ${target(', type: kubernetes.io/tls')}
    data: { tls.crt: ${source('a')}, tls.key: ${source('a')} }
  - name: evented
    ${target()}
    refresh: 12h
    data: { A: { store: vault, key: ${prefix}/evented, property: a } }
`;
};

const put = (world: World, value: Marker): Promise<void> =>
  world.vault.put('app', {
    a: text(value),
    b: VALUES.binary.bytes.toString('base64'),
    c: { inner: text(VALUES.member) },
  });

/** Removes a Secret, and makes the API server reject its creation. */
async function rejectCreation(world: World, secret: string): Promise<void> {
  const { request } = kubernetes();
  await world.remove(secret);
  const path = `/api/v1/namespaces/${world.ns('apps')}/resourcequotas`;
  const hard = { 'count/secrets': '1' };
  assertStatus(await request('POST', path, { metadata: { name: 'few' }, spec: { hard } }), 201, 'quota');
  // This cluster has no controller that counts usage, so this function writes the status of the quota.
  const headers = { 'content-type': 'application/merge-patch+json' };
  assertStatus(
    await request('PATCH', `${path}/few/status`, { status: { hard, used: hard } }, headers),
    200,
    'quota',
  );
}

/** Returns the output of one-shot commands. From the third command on, the API server rejects one target. */
async function runCommands(world: World): Promise<readonly Place[]> {
  const commands = [
    ['plan', '--all'],
    ['sync'],
    ['sync', '--output', 'json'],
    ['plan', '--output', 'yaml'],
    ['doctor', '--output', 'json'],
    ['rbac'],
    ['audit', 'list', '--output', 'json', '--limit', '500'],
    ['audit', 'show', '2'],
  ];
  const places: Place[] = [];
  for (const [index, command] of commands.entries()) {
    if (index === 2) await rejectCreation(world, 'rejected');
    const { stdout, stderr } = await world.cli(...command, '--log-level', 'debug');
    places.push({ name: `output of ${command.join(' ')}`, bytes: stdout + stderr });
  }
  expect((await world.records()).map(({ code }) => code)).toContain('CLUSTER_REFUSED');
  return places;
}

async function readAnswers(world: World, served: ServiceProcess): Promise<readonly Place[]> {
  const places: Place[] = [];
  const records = ['audit/records?limit=500', 'audit/records/3', 'audit/verify'];
  const console = [
    ...[
      'changes?limit=500',
      'changes?state=open',
      'changes/3',
      'review',
      'timeline?mapping=all',
      'search?q=a',
    ],
    ...['series', 'picture', 'sources', 'graph', 'timeline?store=vault', 'search?q=vault&limit=100'],
  ];
  const paths = ['status', 'mappings', 'mappings/all', 'held', ...records, ...console];
  const api = paths.map((path) => `api/v1/${path}`);
  for (const path of [...api, 'api/openapi.json', 'metrics', 'livez', 'readyz']) {
    const { status, text: body, headers } = await served.get(`/${path}`);
    expect(status, path).toBe(200);
    places.push({ name: `answer of ${path}`, bytes: `${JSON.stringify(headers)}\n${body}` });
  }
  const sync = await served.send('POST', '/api/v1/mappings/all/sync');
  const cli = await world.cli('status', '--all');
  return [
    ...places,
    { name: 'answer of sync', bytes: sync.text },
    { name: 'output of status', bytes: cli.stdout + cli.stderr },
  ];
}

/** Sends valid and invalid events. */
async function sendEvents(world: World, served: ServiceProcess): Promise<readonly Place[]> {
  const places: Place[] = [];
  const post = async (path: string, body: string, headers: Readonly<Record<string, string>>) => {
    const answer = await fetch(`${served.address}${path}`, { method: 'POST', body, headers });
    places.push({ name: `answer of ${path.slice(0, 15)}`, bytes: await answer.text() });
    return answer.status;
  };
  const sign = (body: string) => {
    const time = Math.floor(Date.now() / 1_000);
    return `t=${time},v1=${createHmac('sha256', text(KEYS.hook)).update(`${time}.${body}`).digest('hex')}`;
  };
  const hook = (event: object, signature?: string) => {
    const body = JSON.stringify({ store: 'vault', ...event });
    const headers = {
      'x-secretbridge-signature': signature ?? sign(body),
      'x-note': text(EVENT.value),
    };
    return post('/events/webhook/ci', body, headers);
  };
  const grid = (body: string, key = text(KEYS.grid)) =>
    post('/events/azure/grid', body, { 'aeg-sas-key': key });
  const gridEvent = (data: object, type: string) =>
    JSON.stringify([{ specversion: '1.0', id: text(EVENT.value), type, data }]);
  const key = `${world.prefix}/evented`;
  const [value, unknown] = [text(EVENT.value), text(EVENT.key)];

  await world.vault.put('evented', { a: 'second' });
  expect(await hook({ key })).toBe(202);
  expect(await hook({ key, value })).toBe(400);
  expect(await hook({ key: unknown })).toBe(202);
  expect(await hook({ key }, `t=1,v1=${text(EVENT.signature)}`)).toBe(401);
  expect(await post(`/events/webhook/${unknown}?key=${value}`, value, {})).toBe(404);
  const changed = 'Microsoft.KeyVault.SecretNewVersionCreated';
  expect(await grid(gridEvent({ VaultName: '127', ObjectName: unknown, Value: value }, changed))).toBe(202);
  expect(await grid(gridEvent({ ObjectName: value, [value]: value }, text(EVENT.type)))).toBe(202);
  expect(await grid(value)).toBe(400);
  expect(await grid('[]', text(EVENT.signature))).toBe(401);
  await within(10_000, async () => expect((await world.secret('evented'))?.data?.A).toBe(base64('second')));
  const updates = (await world.records()).filter(
    ({ mapping, action }) => mapping === 'evented' && action === 'update',
  );
  expect(updates.map(({ actor }) => actor)).toContainEqual({ kind: 'event', name: 'ci' });
  const { text: status } = await served.get('/api/v1/status');
  expect(JSON.parse(status)).toMatchObject({
    events: [
      { kind: 'eventGrid', name: 'grid', state: 'up', lastEvent: expect.any(String) },
      { kind: 'webhook', name: 'ci', state: 'up', lastEvent: expect.any(String) },
    ],
  });
  return places;
}

/** Rotates and edits values. Then the store fails in several ways and finally loses its secret. */
async function changeAndFail(world: World, served: ServiceProcess, proxy: FaultProxy): Promise<void> {
  const expectSecond = async () =>
    expect((await world.secret('all'))?.data?.A).toBe(VALUES.second.bytes.toString('base64'));
  await put(world, VALUES.second);
  await within(10_000, expectSecond);
  await world.patch('all', { data: { A: VALUES.byHand.bytes.toString('base64') } });
  await within(5_000, expectSecond);
  for (const fault of ['server error', 'another JSON', 'cut', 'connection reset in the body'] as const) {
    proxy.set(fault, /\/data\//);
    await served.send('POST', '/api/v1/mappings/all/sync');
  }
}

async function secretsOf(world: World): Promise<readonly Raw[]> {
  const path = `/api/v1/namespaces/${world.ns('apps')}/secrets`;
  return (await kubernetes().request<{ items: readonly Raw[] }>('GET', path)).body.items;
}

/** Returns the tokens and identifiers of the service's logins. */
async function credentialsOf(world: World): Promise<readonly Marker[]> {
  const path = /kubeconfig: ([^ ,}]+)/.exec(world.text())?.[1] ?? '';
  const { users } = parse(await readFile(path, 'utf8')) as { users: { user: { token: string } }[] };
  const serviceAccountToken = Buffer.from(users[0]?.user.token ?? '');
  return [
    {
      name: 'the service account token',
      bytes: serviceAccountToken,
      core: serviceAccountToken.subarray(-40),
    },
    markerOf('the role id', world.vault.env.ROLE_ID),
    markerOf('the secret id', world.vault.env.SECRET_ID),
    ...Object.entries(world.tokens).map(([name, token]) => markerOf(`the token of ${name}`, token)),
  ];
}

it('secret values appear only in the data of Secrets, and neither credentials nor contents of events appear anywhere', async () => {
  await using redis = await startRedis();
  using contents = await recordRedis(redis);
  await using proxy = await startFaultProxy(openbao().address);
  await using world = await openWorld({
    config,
    scope: 'namespace',
    vaultAddress: proxy.address,
    redisUrl: redis.address,
    postgres: true,
    granted: false,
  });
  await writeFile(join(world.folder, 'hook.key'), KEYS.hook.bytes, { mode: 0o600 });
  await writeFile(join(world.folder, 'grid.key'), KEYS.grid.bytes, { mode: 0o600 });
  await put(world, VALUES.first);
  await world.vault.put('evented', { a: 'first' });
  for (const name of ['adopted', 'refused']) await world.put(name, { data: { OLD: 'eA==' } });
  await world.grant();

  const places: Place[] = [...(await runCommands(world))];
  await using served = await world.serve('--log-level', 'debug');
  const stateOf = async () => served.target('all');
  await within(15_000, async () => expect(await stateOf()).toMatchObject({ state: 'synced' }));
  places.push(...(await readAnswers(world, served)), ...(await sendEvents(world, served)));
  await changeAndFail(world, served, proxy);
  places.push(...(await readAnswers(world, served)));
  proxy.set(undefined);
  await within(20_000, async () => expect(await stateOf()).toMatchObject({ state: 'synced' }));
  await world.vault.remove('app');
  await within(20_000, async () => expect(await stateOf()).toMatchObject({ code: 'SOURCE_ABSENT' }));
  places.push(...(await readAnswers(world, served)));
  const proc = `/proc/${served.pid}`;
  for (const file of ['cmdline', 'environ'])
    if (existsSync(`${proc}/${file}`)) places.push({ name: file, bytes: readFileSync(`${proc}/${file}`) });
  const { names, text: redisText } = await contents.read();
  const { code, stdout, stderr } = await served.stop();
  expect(code).toBe(0);
  expect(names.length).toBeGreaterThan(0);
  expect(redisText).toContain('evented');
  expect(stderr.length).toBeGreaterThan(2_000);
  const secrets = await secretsOf(world);
  const isCredentialFile = (path: string) => /\.(key|token|kubeconfig)$|^secret-id$/.test(path);
  places.push(
    { name: 'Redis', bytes: redisText },
    { name: 'stdout', bytes: stdout },
    { name: 'the log', bytes: stderr },
    { name: 'the audit', bytes: JSON.stringify(await world.records()) },
    ...secrets.map(({ data: _, ...secret }) => ({
      name: `Secret ${secret.metadata.name} without its data`,
      bytes: JSON.stringify(secret),
    })),
    ...(await filesBelow(world.folder, isCredentialFile)),
  );

  expect(
    findLeaks(
      places,
      [VALUES, EVENT, KEYS].flatMap((markers) => Object.values<Marker>(markers)),
    ),
  ).toEqual([]);
  const withoutEnvironment = places.filter(({ name }) => name !== 'environ');
  expect(findLeaks(withoutEnvironment, await credentialsOf(world))).toEqual([]);
  // Searches for values that must be present, to prove that the search works.
  const data = [{ name: 'data', bytes: JSON.stringify(secrets) }];
  for (const marker of [VALUES.second, VALUES.member, VALUES.binary])
    expect(findLeaks(data, [marker]), marker.name).not.toEqual([]);
  console.log(`searched in ${places.length} places, ${stderr.split('\n').length} lines of log`);
}, 180_000);

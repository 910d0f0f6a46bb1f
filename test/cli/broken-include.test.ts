import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Status } from '../../src/service/service.ts';
import { waitUntil } from '../wait-until.ts';
import { type Bench, Collector, openBench } from './harness.ts';

const TOKEN = 'b3BlcmF0b3ItdG9rZW4tb2YtYW5u';
const include = (team: string) =>
  `{ path: teams/${team}, namespaces: [${team}], stores: [local], keys: ['*.json'] }`;
const MAIN = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
http: { listen: '127.0.0.1:0', tokens: [ { name: ann, role: operator, token: { env: ANN } } ] }
stores: [ { name: local, kind: files, path: ./store } ]
include: [ ${include('a')}, ${include('b')} ]
`;
const mapping = (name: string, namespace: string, more = '') =>
  `mappings: [ { name: ${name}, target: { namespace: ${namespace} }, onMappingRemoved: delete, data: { USER: { store: local, key: db.json, property: user } }${more} } ]\n`;

async function openTeams(): Promise<Bench> {
  const bench = await openBench(MAIN);
  await bench.write('teams/a/one.yaml', mapping('a-db', 'a'));
  await bench.write('teams/b/one.yaml', mapping('b-db', 'b'));
  return bench;
}

async function serve(bench: Bench) {
  const stop = new AbortController();
  const stderr = new Collector();
  const context = { stderr, signal: stop.signal, env: { ANN: TOKEN } };
  const running = bench.runWith(context, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));
  const [address = ''] = /http:[^"]+/.exec(stderr.text) ?? [];
  const get = async (path: string) =>
    await fetch(`${address}${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return {
    status: async () => (await (await get('/api/v1/status')).json()) as Status,
    get: async (path: string): Promise<unknown> => await (await get(path)).json(),
    sync: (mapping: string) =>
      bench.runWith(
        { env: { SECRETBRIDGE_TOKEN: TOKEN, ANN: TOKEN } },
        ...['sync', '--mapping', mapping, '--server', address],
      ),
    metrics: async () => await (await get('/metrics')).text(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      expect((await running).code).toBe(0);
    },
  };
}

const stateOf = ({ targets }: Status, name: string) => targets.find(({ mapping }) => mapping === name);

it.each(['mappings: [', 'stores: []\n', mapping('a-db', 'a').replace('user', 'user, bogus: 1')])(
  'an included file that becomes %j fails alone, and its last valid version stays in force until a restart',
  async (broken) => {
    await using bench = await openTeams();
    {
      await using served = await serve(bench);
      await waitUntil(async () => {
        const { targets, includes } = await served.status();
        expect(targets.map(({ state }) => state)).toEqual(['synced', 'synced']);
        expect(includes).toEqual([
          { path: 'teams/a/one.yaml', namespaces: ['a'], state: 'valid', problems: [] },
          { path: 'teams/b/one.yaml', namespaces: ['b'], state: 'valid', problems: [] },
        ]);
      });
      await bench.write('teams/a/one.yaml', broken);
      await bench.write('teams/b/one.yaml', mapping('b-db', 'b', ', maxAge: 1d'));
      await waitUntil(async () => {
        const { includes, config, targets } = await served.status();
        expect(includes.map(({ state }) => state)).toEqual(['outdated', 'valid']);
        expect(includes[0]?.problems[0]).toMatchObject({ file: 'teams/a/one.yaml', code: 'CONFIG_INVALID' });
        expect(config.valid).toBe(false);
        expect(targets.map(({ state }) => state)).toEqual(['synced', 'synced']);
      });
      expect(await served.metrics()).toMatch(/^secretbridge_config_valid 0$/m);
    }

    await using served = await serve(bench);
    await waitUntil(async () => {
      const status = await served.status();
      expect(status.includes.map(({ state }) => state)).toEqual(['disabled', 'valid']);
      expect(stateOf(status, 'a-db')).toMatchObject({
        state: 'stale',
        code: 'CONFIG_INVALID',
        namespace: 'a',
      });
      expect(stateOf(status, 'a-db')?.message).toContain('teams/a/one.yaml');
      expect(stateOf(status, 'b-db')?.state).toBe('synced');
    });
    expect(await served.metrics()).toMatch(/^secretbridge_config_valid 0$/m);
    const kept = {
      ...{ mapping: 'a-db', sources: [], searches: [] },
      targets: [expect.objectContaining({ namespace: 'a', state: 'stale', code: 'CONFIG_INVALID' })],
    };
    expect(await served.get('/api/v1/mappings')).toMatchObject({ mappings: [kept, { mapping: 'b-db' }] });
    expect(await served.get('/api/v1/mappings/a-db')).toEqual(kept);
    const { code, stderr } = await served.sync('a-db');
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('not in force') });
    await bench.write('store/db.json', '{"user":"eve"}');
    await bench.write('teams/a/one.yaml', mapping('a-db', 'a'));
    await waitUntil(async () => expect(stateOf(await served.status(), 'a-db')?.state).toBe('synced'));
    expect(await bench.read('cluster/a/a-db.yaml')).toContain('kind: Secret');
  },
);

it('one-shot commands leave out a broken included file, keep its targets and exit with 4', async () => {
  await using bench = await openTeams();
  expect((await bench.run('sync')).code).toBe(0);
  const before = await bench.read('cluster/a/a-db.yaml');
  await bench.write('teams/a/one.yaml', 'mappings: [');
  await bench.write('store/db.json', '{"user":"eve"}');
  expect((await bench.run('validate', '--output', 'json')).json).toMatchObject({
    valid: false,
    problems: [{ file: 'teams/a/one.yaml' }],
  });
  expect((await bench.run('validate')).code).toBe(3);
  expect((await bench.run('plan')).code).toBe(4);
  const synced = await bench.run('sync', '--output', 'json');
  expect(synced.code).toBe(4);
  expect(synced.json).toMatchObject({
    ok: false,
    targets: [{ mapping: 'b-db', outcome: 'updated' }],
    includes: [{ path: 'teams/a/one.yaml', state: 'disabled' }],
  });
  expect(synced.stderr).toContain('teams/a/one.yaml');
  for (const args of [['prune', '--yes'], ['sync']]) await bench.run(...args);
  expect(await bench.read('cluster/a/a-db.yaml')).toBe(before);

  await rm(join(bench.folder, 'teams/a'), { recursive: true });
  expect((await bench.run('sync')).code).toBe(4);
  expect(await bench.read('cluster/a/a-db.yaml')).toBe(before);
});

it('a template that does not compile fails only its mapping, also in the main file', async () => {
  await using bench = await openTeams();
  const bad = `, template: { data: { T: '{{ USER | nonsense }}' } }`;
  await bench.write('teams/a/one.yaml', mapping('a-db', 'a', bad));
  await bench.write('secretbridge.yaml', MAIN + mapping('main', 'm', bad));
  const validated = await bench.run('validate', '--output', 'json');
  expect(validated.code).toBe(3);
  const problem = (file: string) => ({ file, code: 'TEMPLATE_INVALID' });
  expect(validated.json).toMatchObject({
    problems: [problem('secretbridge.yaml'), problem('teams/a/one.yaml')],
  });
  const synced = await bench.runWith({ env: { ANN: TOKEN } }, 'sync', '--output', 'json');
  expect(synced.code).toBe(4);
  expect(synced.json).toMatchObject({
    targets: [
      { mapping: 'a-db', outcome: 'failed', code: 'TEMPLATE_INVALID' },
      { mapping: 'b-db', outcome: 'created' },
      { mapping: 'main', outcome: 'failed', code: 'TEMPLATE_INVALID' },
    ],
  });
});

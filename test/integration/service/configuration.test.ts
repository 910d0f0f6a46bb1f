import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { freePort } from '../services/free-port.ts';
import { openbao } from '../services/inject.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

interface Rule {
  readonly name: string;
  readonly label?: string;
  readonly removed?: 'keep' | 'delete';
}

const config =
  (rules: readonly Rule[], refresh = '10m'): WorldOptions['config'] =>
  ({ prefix, ns }) =>
    `defaults: { refresh: ${refresh} }
brake: { share: 0.5 }
mappings:
${rules
  .map(
    ({ name, label = 'x', removed = 'keep' }) => `  - name: ${name}
    target: { namespace: ${ns('apps')}, labels: { team: ${label} } }
    onMappingRemoved: ${removed}
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`,
  )
  .join('')}`;

const THREE: readonly Rule[] = [{ name: 'one' }, { name: 'two', removed: 'delete' }, { name: 'three' }];

async function open(options: Partial<WorldOptions> = {}): Promise<World> {
  const world = await openWorld({ config: config(THREE), scope: 'namespace', ...options });
  await world.vault.put('app', { a: 'first' });
  return world;
}

const labelOf = async (world: World, name: string) => (await world.secret(name))?.metadata.labels?.team;
const expectSynced = async (served: ServiceProcess, count = 3): Promise<void> => {
  const { targets } = await served.status();
  expect(targets.map(({ state }) => state)).toEqual(Array.from({ length: count }, () => 'synced'));
};
const configRecords = async (world: World) =>
  (await world.records()).filter(({ action }) => action === 'configure');

describe('a change of the configuration', () => {
  it('a change updates only the changed mapping, syncs a new mapping immediately, and deletes the Secret of a removed mapping if configured', async () => {
    await using world = await open();
    await using served = await world.serve();
    await within(10_000, () => expectSynced(served));
    const before = (await world.writes()).length;

    await world.configure({ config: config([{ name: 'one', label: 'y' }, ...THREE.slice(1)]) });
    const changed = await within(10_000, async () => expect(await labelOf(world, 'one')).toBe('y'));
    await world.configure({
      config: config([{ name: 'one', label: 'y' }, ...THREE.slice(1), { name: 'four' }]),
    });
    const added = await within(10_000, async () => expect(await labelOf(world, 'four')).toBe('x'));
    await world.configure({
      config: config([{ name: 'one', label: 'y' }, { name: 'three' }, { name: 'four' }]),
    });
    const removed = await within(15_000, async () => expect(await world.secret('two')).toBeUndefined());
    await world.configure({ config: config([{ name: 'one', label: 'y' }, { name: 'three' }]) });
    await within(10_000, () => expectSynced(served, 2));
    expect(await world.secret('four')).toBeDefined();
    console.log(`changed after ${changed} ms, added after ${added} ms, removed after ${removed} ms`);
    const apps = world.ns('apps');
    await within(5_000, async () =>
      expect((await world.writes()).slice(before)).toEqual([
        `update ${apps}/one`,
        `create ${apps}/four`,
        `delete ${apps}/two`,
      ]),
    );
    const deleted = (await world.records()).filter(({ action }) => action === 'delete');
    expect(deleted.map(({ phase, mapping, outcome }) => [phase, mapping, outcome])).toEqual([
      ['intent', 'two', 'ok'],
      ['outcome', 'two', 'ok'],
    ]);
    expect(await configRecords(world)).toHaveLength(5);
    expect(served.log()).not.toContain('restarts with a new configuration');
  });

  it('a change of only the refresh interval causes no write', { tags: ['long'] }, async () => {
    await using world = await open();
    await using served = await world.serve();
    await within(10_000, () => expectSynced(served));
    const before = (await world.writes()).length;
    await world.configure({ config: config(THREE, '3s') });
    await within(10_000, async () => expect(await configRecords(world)).toHaveLength(2));
    await world.vault.put('app', { a: 'second' });
    const elapsedMs = await within(10_000, async () => {
      for (const { name } of THREE) expect((await world.secret(name))?.data?.A).toBe(base64('second'));
    });
    console.log(`with another refresh of 3 s a rotation arrived after ${elapsedMs} ms`);
    await within(5_000, async () => expect(await world.writes()).toHaveLength(before + 3));
  });

  it('a running read ends without an error when its mapping and its store are removed', {
    tags: ['long'],
  }, async () => {
    await using proxy = await startFaultProxy(openbao().address);
    const withOther: WorldOptions['config'] = (names) => `  - name: other
    kind: vault
    address: ${proxy.address}
    auth: { method: appRole, mountPath: ${names.prefix}, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }
    limits: { timeout: 2s }
${config(THREE)(names)}  - name: goes
    target: { namespace: ${names.ns('apps')} }
    data: { A: { store: other, key: ${names.prefix}/slow } }
`;
    await using world = await open({ config: withOther });
    proxy.set('hang', /slow/);
    const slowRead = proxy.arrival(/slow/);
    await using served = await world.serve();
    await slowRead;
    await world.configure({ config: config(THREE) });
    await within(10_000, async () => expect(await configRecords(world)).toHaveLength(2));
    await within(20_000, async () =>
      expect(await served.metric('secretbridge_queue_jobs{state="active"}')).toBe(0),
    );
    await within(10_000, () => expectSynced(served));
    expect((await world.records()).filter(({ mapping }) => mapping === 'goes')).toEqual([]);
    expect(served.logged().filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('detects a change when a ConfigMap mount replaces its symbolic link', async () => {
    await using world = await open();
    const conf = join(world.folder, 'conf');
    const swap = async (version: string) => {
      await mkdir(join(conf, version), { recursive: true });
      await writeFile(join(conf, version, 'secretbridge.yaml'), world.text());
      await symlink(version, join(conf, '..data_tmp'));
      await rename(join(conf, '..data_tmp'), join(conf, '..data'));
    };
    await swap('..1');
    await symlink('..data/secretbridge.yaml', join(conf, 'secretbridge.yaml'));
    await using served = await world.serve('--config', conf);
    await within(10_000, () => expectSynced(served));
    await world.configure({ config: config([{ name: 'one', label: 'z' }, ...THREE.slice(1)]) });
    await swap('..2');
    const elapsedMs = await within(10_000, async () => expect(await labelOf(world, 'one')).toBe('z'));
    console.log(`a swapped ConfigMap was applied after ${elapsedMs} ms`);
  });

  it('reports an invalid configuration, and keeps the last valid configuration active', async () => {
    await using world = await open({ config: config(THREE, '4s') });
    await using served = await world.serve();
    await within(10_000, () => expectSynced(served));
    const valid = config(THREE, '4s');
    await world.configure({ config: (names) => valid(names).replace('property: a', 'propery: a') });
    await within(10_000, async () => expect(await served.metric('secretbridge_config_valid')).toBe(0));
    const { config: state } = await served.status();
    expect(state).toMatchObject({
      valid: false,
      problems: [{ line: expect.any(Number), suggestion: expect.anything() }],
    });
    expect((await configRecords(world)).at(-1)).toMatchObject({ outcome: 'failed', code: 'CONFIG_INVALID' });
    expect(served.logged()).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'the configuration is invalid; the last valid one stays active',
      }),
    );
    const status = await world.cli('status', '--server', served.address);
    expect(status.code).toBe(3);
    expect(status.stdout).toContain('The configuration has 1 problem');
    expect((await served.get('/readyz')).status).toBe(200);

    await world.vault.put('app', { a: 'second' });
    await within(10_000, async () => expect((await world.secret('one'))?.data?.A).toBe(base64('second')));
    await world.configure({ config: valid });
    await within(10_000, async () => expect(await served.metric('secretbridge_config_valid')).toBe(1));
    expect((await served.status()).config).toEqual({ valid: true, problems: [], differing: [] });
  });

  it('reopens the server in the same process if a change affects the listen address', {
    tags: ['long'],
  }, async () => {
    await using world = await open();
    await using served = await world.serve();
    await within(10_000, () => expectSynced(served));
    const before = (await world.writes()).length;
    const port = await freePort();
    const text = world.text().replace(new URL(served.address).host, `127.0.0.1:${port}`);
    await writeFile(join(world.folder, 'secretbridge.yaml'), text);
    const address = `http://127.0.0.1:${port}`;
    await within(15_000, async () => {
      const status = await world.cli('status', '--server', address);
      expect(status.code, status.stderr).toBe(0);
    });
    await expect(served.get('/livez')).rejects.toThrow();
    expect(await world.writes()).toHaveLength(before);
    expect((await served.stop()).code).toBe(0);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('detects a change of the configuration and of credentials immediately on SIGHUP', {
    tags: ['long'],
  }, async () => {
    await using world = await open({ secretIdFile: true });
    await writeFile(join(world.folder, 'secret-id'), 'wrong');
    await using served = await world.serve();
    await within(10_000, async () => {
      for (const { code } of (await served.status()).targets) expect(code).toBe('AUTH_FAILED');
    });
    const { stores } = await served.status();
    expect(stores).toMatchObject([{ state: 'down', code: 'AUTH_FAILED' }]);
    await writeFile(join(world.folder, 'secret-id'), world.vault.env.SECRET_ID);
    served.kill('SIGHUP');
    const elapsedMs = await within(4_000, () => expectSynced(served));
    console.log(`credentials replaced, SIGHUP: all synced after ${elapsedMs} ms`);
  });
});

it('a changed credential file of a store causes a new login', async () => {
  await using world = await open({ secretIdFile: true });
  await writeFile(join(world.folder, 'secret-id'), 'wrong');
  await using served = await world.serve();
  await within(10_000, async () => {
    for (const { code } of (await served.status()).targets) expect(code).toBe('AUTH_FAILED');
  });
  expect((await world.cli('status')).code).toBe(4);
  await writeFile(join(world.folder, 'secret-id'), world.vault.env.SECRET_ID);
  const elapsedMs = await within(10_000, () => expectSynced(served));
  console.log(`credentials replaced: all synced after ${elapsedMs} ms`);
  expect((await served.status()).stores).toMatchObject([{ state: 'up' }]);
});

import { describe, expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openTeamWorld, type TeamWorld } from './team-maps.ts';
import { base64 } from './world.ts';

interface RoleBinding {
  readonly metadata: { readonly name: string };
}

const DELETES = { more: ['onMappingRemoved: delete'] };

async function open(): Promise<TeamWorld> {
  const world = await openTeamWorld(['shop', 'web']);
  for (const short of ['shop', 'web']) await world.vault.put(`${world.ns(short)}/db`, { a: `of ${short}` });
  return world;
}

const includesOf = async (served: ServiceProcess) =>
  Object.fromEntries((await served.status()).includes.map(({ path, state }) => [path, state]));
const stateOf = async (served: ServiceProcess, path: string) => (await includesOf(served))[path];
const secretIn = (world: TeamWorld, short: string, name: string) => async () =>
  expect((await world.secret(name, short))?.data).toEqual({ A: base64(`of ${short}`) });
const noSecret = (world: TeamWorld, short: string, name: string) => async () =>
  expect(await world.secret(name, short)).toBeUndefined();

describe("teams' ConfigMaps", () => {
  it('a ConfigMap applies within two seconds, and a broken one fails alone', async () => {
    await using world = await open();
    await using served = await world.serve();
    const shop = `configmap:${world.ns('shop')}`;
    await world.putMap('shop', 'app', world.mapText('shop', { name: 'app' }));
    const appeared = await within(5_000, secretIn(world, 'shop', 'app'));
    await world.putMap('shop', 'app', world.mapText('shop', { name: 'app' }, { name: 'more' }));
    const changed = await within(5_000, secretIn(world, 'shop', 'more'));
    await world.putMap('shop', 'bad', 'mappings: [ { nam: x } ]');
    await within(5_000, async () => expect(await stateOf(served, `${shop}/bad`)).toBe('disabled'));
    await world.putMap('web', 'app', world.mapText('web', { name: 'app' }));
    const beside = await within(5_000, secretIn(world, 'web', 'app'));
    console.log(
      `applied after ${appeared} ms, changed after ${changed} ms, beside a broken one ${beside} ms`,
    );
    expect(await includesOf(served)).toEqual({
      [`${shop}/app`]: 'valid',
      [`${shop}/bad`]: 'disabled',
      [`configmap:${world.ns('web')}/app`]: 'valid',
    });
    const { targets } = await served.status();
    expect(targets.map(({ mapping, state }) => [mapping, state])).toEqual([
      [`${world.ns('shop')}.app`, 'synced'],
      [`${world.ns('shop')}.more`, 'synced'],
      [`${world.ns('web')}.app`, 'synced'],
    ]);
  });

  it('a team reaches no other keys and no other namespaces', async () => {
    await using world = await open();
    await using served = await world.serve();
    const foreign = world.mapText('web', { name: 'app' });
    await world.putMap('shop', 'keys', foreign);
    const other = world.mapText('shop', { name: 'x', more: [`target: { namespace: ${world.ns('web')} }`] });
    await world.putMap('shop', 'namespace', other);
    await within(5_000, async () =>
      expect(await includesOf(served)).toEqual({
        [`configmap:${world.ns('shop')}/keys`]: 'valid',
        [`configmap:${world.ns('shop')}/namespace`]: 'disabled',
      }),
    );
    await within(5_000, async () =>
      expect((await served.status()).targets).toMatchObject([{ state: 'failed', code: 'NOT_ALLOWED' }]),
    );
    await noSecret(world, 'shop', 'app')();
    await noSecret(world, 'web', 'x')();
  });

  it('a removal follows `onMappingRemoved`, and a removed label is a removal', async () => {
    await using world = await open();
    await using served = await world.serve();
    await world.putMap('shop', 'gone', world.mapText('shop', { name: 'gone', ...DELETES }));
    await world.putMap('shop', 'kept', world.mapText('shop', { name: 'kept' }));
    await world.putMap('shop', 'bare', world.mapText('shop', { name: 'bare', ...DELETES }));
    await within(5_000, async () => {
      for (const name of ['gone', 'kept', 'bare']) await secretIn(world, 'shop', name)();
    });
    await world.removeMap('shop', 'gone');
    await within(15_000, noSecret(world, 'shop', 'gone'));
    await world.removeMap('shop', 'kept');
    await world.labelMap('shop', 'bare', null);
    await within(15_000, noSecret(world, 'shop', 'bare'));
    await secretIn(world, 'shop', 'kept')();
    expect(served.log()).toContain('a ConfigMap was deleted; its mappings end');
    expect(served.log()).toContain('a ConfigMap no longer has the labels of its `include`; its mappings end');
  });

  it('an ending namespace and forbidden lists remove nothing', async () => {
    await using world = await open();
    await using served = await world.serve();
    for (const short of ['shop', 'web']) {
      await world.putMap(short, 'app', world.mapText(short, { name: 'app', ...DELETES }));
      await within(5_000, secretIn(world, short, 'app'));
    }
    const { request } = kubernetes();
    // Without a namespace controller, the namespace stays in this state.
    const ending = await request('DELETE', `/api/v1/namespaces/${world.ns('shop')}`);
    assertStatus(ending, 200, 'end the namespace');
    await world.removeMap('shop', 'app');
    const shop = `configmap:${world.ns('shop')}/app`;
    await within(5_000, async () => expect(await stateOf(served, shop)).toBe('outdated'));

    const bindings = `/apis/rbac.authorization.k8s.io/v1/namespaces/${world.ns('web')}/rolebindings`;
    const binding = `${bindings}/secretbridge-service-config-maps`;
    const { metadata, ...rights } = (await request<RoleBinding>('GET', binding)).body;
    assertStatus(await request('DELETE', binding), 200, 'take the rights');
    await world.removeMap('web', 'app');
    const web = `configmap:${world.ns('web')}/app`;
    await within(20_000, async () => expect(await stateOf(served, web)).toBe('outdated'));
    await secretIn(world, 'shop', 'app')();
    await secretIn(world, 'web', 'app')();
    // With the rights, the removal is known to be one.
    const given = await request('POST', bindings, { ...rights, metadata: { name: metadata.name } });
    assertStatus(given, 201, 'give the rights back');
    await within(60_000, noSecret(world, 'web', 'app'));
    await secretIn(world, 'shop', 'app')();
  });

  it('after a restart, a broken ConfigMap and an ending namespace keep their Secrets', async () => {
    await using world = await open();
    {
      await using served = await world.serve();
      await world.putMap('shop', 'app', world.mapText('shop', { name: 'app', ...DELETES }));
      await world.putMap('web', 'app', world.mapText('web', { name: 'app', ...DELETES }));
      await within(5_000, secretIn(world, 'shop', 'app'));
      await within(5_000, secretIn(world, 'web', 'app'));
      await served.stop();
    }
    await world.putMap('shop', 'app', 'mappings: 1');
    const ending = await kubernetes().request('DELETE', `/api/v1/namespaces/${world.ns('web')}`);
    assertStatus(ending, 200, 'end the namespace');
    await world.removeMap('web', 'app');
    await using served = await world.serve();
    expect(await includesOf(served)).toEqual({
      [`configmap:${world.ns('shop')}/app`]: 'disabled',
      [`configmap:${world.ns('web')}`]: 'disabled',
    });
    await within(20_000, async () =>
      expect((await served.status()).targets.map(({ state, code }) => [state, code])).toEqual([
        ['stale', 'CONFIG_INVALID'],
        ['stale', 'NAMESPACE_MISSING'],
      ]),
    );
    await secretIn(world, 'shop', 'app')();
    await secretIn(world, 'web', 'app')();
  });

  it('namespaces of a pattern are found when they appear', async () => {
    await using world = await openTeamWorld(['shop'], { globs: ['shop', 'team-*'] });
    await world.vault.put(`${world.ns('team-a')}/db`, { a: 'of team-a' });
    await using _ = await world.serve();
    await world.createNamespace('team-a');
    await world.putMap('team-a', 'app', world.mapText('team-a', { name: 'app' }));
    await within(10_000, secretIn(world, 'team-a', 'app'));
  });
});

describe("commands with teams' ConfigMaps", () => {
  it('read the ConfigMaps', async () => {
    await using world = await open();
    await world.putMap('shop', 'app', world.mapText('shop', { name: 'app' }));
    await world.putMap('web', 'bad', { data: { 'mapping.yaml': '' } });
    const name = `${world.ns('shop')}.app`;
    const plan = await world.cli('plan', '--output', 'json');
    expect(plan.code).toBe(4);
    expect(JSON.parse(plan.stdout).targets).toMatchObject([{ mapping: name, action: 'create' }]);
    const validate = await world.cli('validate', '--output', 'json');
    expect(validate.code).toBe(3);
    expect(JSON.parse(validate.stdout).problems).toMatchObject([
      { file: `configmap:${world.ns('web')}/bad`, line: 1, column: 1 },
    ]);
    const sync = await world.cli('sync');
    expect(sync.code).toBe(4);
    await secretIn(world, 'shop', 'app')();
    const doctor = JSON.parse((await world.cli('doctor', '--output', 'json')).stdout);
    expect(doctor.checks.filter(({ ok }: { ok: boolean }) => !ok)).toMatchObject([
      { code: 'CONFIG_INVALID' },
    ]);
    const rbac = await world.cli('rbac');
    expect(rbac.stdout).toContain(
      `This allows secretbridge to read every ConfigMap in the namespace ${world.ns('shop')}`,
    );
  });
});

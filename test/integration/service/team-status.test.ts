import { expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { within } from './service-process.ts';
import { openTeamWorld, type TeamWorld } from './team-maps.ts';

const PREFIX = 'status.secretbridge.dev/';
const MARKER = 'marker-value-of-the-annotations';

interface Metadata {
  readonly resourceVersion: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly managedFields: readonly { readonly manager: string; readonly operation: string }[];
}

async function metadataOf(world: TeamWorld, name = 'app'): Promise<Metadata> {
  return (await world.map('shop', name))?.metadata as Metadata;
}

async function statusOf(world: TeamWorld, name?: string): Promise<Readonly<Record<string, string>>> {
  const { annotations = {} } = await metadataOf(world, name);
  const own = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX));
  return Object.fromEntries(own.map(([key, text]) => [key.slice(PREFIX.length), text]));
}

/** Applies a ConfigMap as Flux and `kubectl apply --server-side` do. */
async function applyMap(world: TeamWorld, name: string, text: string): Promise<void> {
  const labels = { 'secretbridge.dev/mappings': world.ns('x') };
  const body = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } },
    data: { 'mappings.yaml': text },
  };
  const path = `/api/v1/namespaces/${world.ns('shop')}/configmaps/${name}?fieldManager=flux&force=true`;
  const type = { 'content-type': 'application/apply-patch+yaml' };
  const { status } = await kubernetes().request('PATCH', path, body, type);
  expect([200, 201]).toContain(status);
}

it('a ConfigMap with `statusAnnotation` says what became of its mappings, and causes no loop of writes', async () => {
  await using world = await openTeamWorld(['shop'], { statusAnnotation: true });
  await world.vault.put(`${world.ns('shop')}/db`, { a: MARKER });
  const text = world.mapText('shop', { name: 'app' });
  {
    await using _ = await world.serve();
    await applyMap(world, 'app', text);
    await within(10_000, async () =>
      expect(await statusOf(world)).toEqual({
        state: 'synced',
        message: '1 of 1 Secrets in sync',
        observed: text,
        instance: 'service',
      }),
    );
    const { managedFields } = await metadataOf(world);
    expect(managedFields.map(({ manager, operation }) => `${manager} ${operation}`).sort()).toEqual([
      'flux Apply',
      'secretbridge-status Apply',
    ]);
    // A tool that applies its manifest again removes nothing, and has nothing to write.
    const before = (await metadataOf(world)).resourceVersion;
    await applyMap(world, 'app', text);
    expect((await metadataOf(world)).resourceVersion).toBe(before);

    await world.put('taken', { stringData: { K: 'theirs' } }, 'shop');
    const more = world.mapText('shop', { name: 'app' }, { name: 'taken' });
    await applyMap(world, 'app', more);
    await within(10_000, async () =>
      expect(await statusOf(world)).toMatchObject({ state: 'refused', code: 'NOT_OWNED', observed: more }),
    );
    expect((await statusOf(world)).message).toMatch(/^1 of 2 Secrets in sync; taken: NOT_OWNED: .*adopt/);

    await applyMap(world, 'bad', 'mappings: 1');
    await within(10_000, async () =>
      expect(await statusOf(world, 'bad')).toMatchObject({
        state: 'invalid',
        code: 'CONFIG_INVALID',
        observed: 'mappings: 1',
      }),
    );
    // Somebody removes the annotations.
    const path = `/api/v1/namespaces/${world.ns('shop')}/configmaps/bad`;
    const merge = { 'content-type': 'application/merge-patch+json' };
    const patch = { metadata: { annotations: null } };
    assertStatus(await kubernetes().request('PATCH', path, patch, merge), 200, 'remove the annotations');
    await within(20_000, async () =>
      expect(await statusOf(world, 'bad')).toMatchObject({ state: 'invalid' }),
    );

    await world.labelMap('shop', 'bad', null);
    await within(10_000, async () => expect(await statusOf(world, 'bad')).toEqual({}));
    expect(JSON.stringify(await world.map('shop', 'app'))).not.toContain(MARKER);
  }
  // A restart writes nothing, because nothing has changed. After it, only the next change is written.
  const before = await world.writes('configmaps');
  const more = `${world.mapText('shop', { name: 'app' }, { name: 'taken' })}# a comment\n`;
  await using served = await world.serve();
  await within(10_000, async () =>
    expect(await served.target(`${world.ns('shop')}.taken`)).toMatchObject({ state: 'refused' }),
  );
  await applyMap(world, 'app', more);
  await within(10_000, async () =>
    expect(await statusOf(world)).toMatchObject({ state: 'refused', observed: more }),
  );
  const after = await world.writes('configmaps');
  expect(after.slice(before.length)).toEqual([`patch ${world.ns('shop')}/app`]);
});

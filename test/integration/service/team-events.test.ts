import { expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { within } from './service-process.ts';
import { openTeamWorld } from './team-maps.ts';

interface EventList {
  readonly items: readonly {
    readonly involvedObject: { readonly kind: string; readonly name: string; readonly uid: string };
    readonly type: string;
    readonly reason: string;
    readonly message: string;
    readonly count: number;
  }[];
}

const MARKER = 'marker-value-of-the-shop';

it('teams see events on their ConfigMaps and Secrets, without values and without repetitions', async () => {
  await using world = await openTeamWorld(['shop']);
  await world.vault.put(`${world.ns('shop')}/db`, { a: MARKER });
  await using _ = await world.serve();
  const events = async () => {
    const path = `/api/v1/namespaces/${world.ns('shop')}/events`;
    return (await kubernetes().request<EventList>('GET', path)).body.items;
  };
  const linesOf = async () =>
    (await events()).map(
      ({ involvedObject: { kind, name }, type, reason }) => `${kind}/${name} ${type} ${reason}`,
    );
  const versionOf = async (name: string) => {
    const { metadata } = (await world.map('shop', name)) as { metadata: { resourceVersion: string } };
    return metadata.resourceVersion;
  };
  await world.putMap('shop', 'app', world.mapText('shop', { name: 'app' }));
  const written = await versionOf('app');
  await within(10_000, async () =>
    expect(await linesOf()).toEqual(
      expect.arrayContaining(['ConfigMap/app Normal Created', 'Secret/app Normal Created']),
    ),
  );
  const uid = (await world.secret('app', 'shop'))?.metadata.uid;
  const ofSecret = (await events()).find(({ involvedObject: { kind } }) => kind === 'Secret');
  expect(ofSecret?.involvedObject.uid).toBe(uid);
  // An event on the ConfigMap is no change of the ConfigMap.
  expect(await versionOf('app')).toBe(written);

  await world.put('taken', { stringData: { K: 'theirs' } }, 'shop');
  await world.putMap('shop', 'app', world.mapText('shop', { name: 'app' }, { name: 'taken' }));
  await world.putMap('shop', 'bad', 'mappings: 1');
  await within(10_000, async () =>
    expect(await linesOf()).toEqual(
      expect.arrayContaining([
        'ConfigMap/app Warning Refused',
        'Secret/taken Warning Refused',
        'ConfigMap/bad Warning Invalid',
      ]),
    ),
  );
  const refused = (await events()).find(({ reason }) => reason === 'Refused');
  expect(refused?.message).toContain('onConflict: adopt');
  const invalid = (await events()).find(({ reason }) => reason === 'Invalid');
  expect(invalid?.message).toContain('expected a list');

  await world.putMap('shop', 'bad', 'mappings: []');
  await world.labelMap('shop', 'app', null);
  await within(10_000, async () =>
    expect(await linesOf()).toEqual(
      expect.arrayContaining(['ConfigMap/bad Normal Valid', 'ConfigMap/app Normal MappingsEnded']),
    ),
  );
  const all = await events();
  expect(JSON.stringify(all)).not.toContain(MARKER);
  expect(JSON.stringify(all)).not.toContain(Buffer.from(MARKER).toString('base64'));
  expect(all.length).toBeLessThan(15);
});

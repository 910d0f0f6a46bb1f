import { expect, it } from 'vitest';
import type { Status } from '../../../src/service/service.ts';
import { type ServiceProcess, within } from '../../integration/service/service-process.ts';
import { base64 } from '../../integration/service/world.ts';
import { mappingOf, openTeams } from '../teams.ts';

// A tenant breaks its file while the service runs. Then the service restarts.

const statesOf = async (served: ServiceProcess) =>
  Object.fromEntries((await served.status()).targets.map((target) => [target.mapping, target]));
const includesOf = ({ includes }: Status) => includes.map(({ state }) => state);

it('a broken file of a tenant stops no other tenant, not even after a restart, and no target is deleted', async () => {
  const removed = ', onMappingRemoved: delete, refresh: 2s';
  await using teams = await openTeams({
    a: (world) => mappingOf(world, 'a', 'ours', removed),
    b: (world) => mappingOf(world, 'b', 'theirs', removed),
  });
  const { world } = teams;
  for (const name of ['ours', 'theirs', 'added']) await world.vault.put(name, { a: 'first' });
  {
    await using served = await world.serve();
    await within(20_000, async () =>
      expect(Object.values(await statesOf(served)).map(({ state }) => state)).toEqual(['synced', 'synced']),
    );
    await teams.write('a', 'mappings: [');
    await within(10_000, async () =>
      expect(includesOf(await served.status())).toEqual(['outdated', 'valid']),
    );
    await teams.write(
      'b',
      `mappings:\n${mappingOf(world, 'b', 'theirs', removed)}${mappingOf(world, 'b', 'added')}`,
    );
    await within(15_000, async () =>
      expect((await world.secret('added', 'b'))?.data?.A).toBe(base64('first')),
    );
    expect(await served.metric('secretbridge_config_valid')).toBe(0);
    expect((await served.stop()).code).toBe(0);
  }

  await using served = await world.serve();
  await within(20_000, async () => {
    const { ours, theirs, added } = await statesOf(served);
    expect(ours).toMatchObject({ namespace: world.ns('a'), state: 'stale', code: 'CONFIG_INVALID' });
    expect([theirs?.state, added?.state]).toEqual(['synced', 'synced']);
  });
  expect(includesOf(await served.status())).toEqual(['disabled', 'valid']);
  expect((await world.cli('prune', '--yes', '--server', served.address)).code).toBe(0);
  expect((await world.secret('ours', 'a'))?.data?.A).toBe(base64('first'));
  expect((await world.writes()).filter((write) => write.startsWith('delete'))).toEqual([]);

  await world.vault.put('ours', { a: 'second' });
  await teams.write('a', `mappings:\n${mappingOf(world, 'a', 'ours', removed)}`);
  await within(15_000, async () => expect((await world.secret('ours', 'a'))?.data?.A).toBe(base64('second')));
  await within(5_000, async () => expect(await served.metric('secretbridge_config_valid')).toBe(1));
  expect(await world.chain()).toMatchObject({ kind: 'intact' });
});

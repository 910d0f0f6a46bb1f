import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { mapConcurrently } from '../../../src/core/semaphore.ts';
import { within } from './service-process.ts';
import { openTeamWorld } from './team-maps.ts';
import { base64 } from './world.ts';

const NAMESPACES = 50;
const MAPS = 100;
const MIB = 1024 ** 2;

it('5,000 ConfigMaps stay under 256 MiB, and a change applies within two seconds', async () => {
  const shorts = Array.from({ length: NAMESPACES }, (_, index) => `t${index}`);
  await using world = await openTeamWorld(shorts);
  await using served = await world.serve();
  await mapConcurrently(shorts, 8, async (short) => {
    await world.vault.put(`${world.ns(short)}/db`, { a: 'first' });
    for (let index = 0; index < MAPS; index += 1)
      await world.putMap(short, `map-${index}`, world.mapText(short, { name: `app-${index}` }));
  });
  await within(180_000, async () => {
    const { targets } = await served.status();
    expect(targets.filter(({ state }) => state === 'synced')).toHaveLength(NAMESPACES * MAPS);
  });
  await world.putMap('t7', 'map-7', world.mapText('t7', { name: 'app-7' }, { name: 'late' }));
  const changed = await within(10_000, async () =>
    expect((await world.secret('late', 't7'))?.data).toEqual({ A: base64('first') }),
  );
  await world.putMap('t8', 'map-8', 'mappings: 1');
  await world.putMap('t9', 'map-9', world.mapText('t9', { name: 'app-9' }, { name: 'beside' }));
  const beside = await within(10_000, async () =>
    expect((await world.secret('beside', 't9'))?.data).toEqual({ A: base64('first') }),
  );
  const status = await readFile(`/proc/${served.pid}/status`, 'utf8');
  const peak = (Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / MIB;
  console.log(`peak ${Math.round(peak)} MiB, changed after ${changed} ms, beside a broken one ${beside} ms`);
  expect(peak).toBeLessThan(256);
});

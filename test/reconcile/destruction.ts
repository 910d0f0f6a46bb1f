import { expect } from 'vitest';
import { openWorld, type World } from './world.ts';

export const MINUTE = 60_000;

/** Returns mappings with one source each. The key of the source is also the name of the mapping. `policies` is YAML. */
export function mappingsOf(names: readonly string[], policies: string): string {
  return names
    .map(
      (name) => `
  - { name: ${name}, target: { namespace: apps }, data: { VALUE: { store: vault, key: ${name} } }, ${policies} }`,
    )
    .join('');
}

export async function synced(names: readonly string[], policies: string, more = ''): Promise<World> {
  const world = await openWorld({ mappings: mappingsOf(names, policies), more });
  for (const name of names) world.store.put(name, `value of ${name}`);
  expect((await world.sync()).ok).toBe(true);
  return world;
}

/** Makes all the reads that are needed to prove an absence, except for the last read. */
export async function almostProve(world: World): Promise<void> {
  await world.sync();
  await world.clock.advance(6 * MINUTE);
  await world.sync();
  await world.clock.advance(6 * MINUTE);
}

export const exists = (world: World, secret: string): boolean =>
  world.cluster.raw({ namespace: 'apps', secret }) !== undefined;
export const NAMES = ['one', 'two', 'three'];

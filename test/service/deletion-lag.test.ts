import { expect, it } from 'vitest';
import { APPS_DB, openWorld, type World } from '../reconcile/world.ts';
import { serve } from './serving.ts';

// A store may be late to show that a deleted key can still be recovered.

const AZURE = 'kind: azure-key-vault, vaultUrl: https://vault.example.vault.azure.net';
// The refresh interval is longer than the lag of the store.
const MAPPING = `
  - name: db
    target: { namespace: apps }
    refresh: 1h
    data:
      TOKEN: { store: vault, key: token }
      EXTRA: { store: vault, key: extra, optional: true }`;

/** Advances the time in small steps, so that the service can finish its work after each of them. */
async function pass({ clock }: World, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) await clock.advance(1_000);
}

function keysOf({ cluster }: World): readonly string[] | undefined {
  const raw = cluster.raw(APPS_DB);
  return raw && Object.keys({ ...(raw.data as object) }).sort();
}

it.each([
  ['is still absent', () => undefined, ['TOKEN']],
  ['was recovered', ({ store }: World) => store.put('extra', 'x'), ['EXTRA', 'TOKEN']],
] as const)(
  'the service writes a new target about two minutes after the first read, if its optional source %s',
  async (_, meanwhile, keys) => {
    const world = await openWorld({ storeKind: AZURE, mappings: MAPPING });
    world.store.absent('extra');
    await using _serving = await serve(world);
    await pass(world, 119);
    expect(keysOf(world)).toBeUndefined();
    meanwhile(world);
    await pass(world, 40);
    expect(keysOf(world)).toEqual(keys);
  },
);

it('the service writes a new target without an optional source at once if the store has no lag', async () => {
  const world = await openWorld({ mappings: MAPPING });
  world.store.absent('extra');
  await using _serving = await serve(world);
  await pass(world, 2);
  expect(keysOf(world)).toEqual(['TOKEN']);
});

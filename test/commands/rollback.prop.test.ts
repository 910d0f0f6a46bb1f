import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { rollBackLocally, unpinLocally } from '../../src/commands/rollback.ts';
import { APPS_DB, base64, openWorld, type World } from '../reconcile/world.ts';

// Checks properties of rollback over random histories. The histories contain rotations, keys that a search finds and
// loses, equal values under different versions, manual edits, rollbacks and unpins.

const MAPPINGS = `
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      PASSWORD: { store: vault, key: db, property: password }
      TOKEN: { store: vault, key: token }
    dataFrom:
      - { store: vault, key: env }
      - { store: vault, find: { path: flags }, rename: { case: upper } }
    template: { data: { url: '{{ USER }}:{{ PASSWORD }}@{{ TOKEN }}' } }
`;

const value = fc.constantFrom('a', 'b', 'c');
const flag = fc.constantFrom('x', 'y', 'z');
const step = fc.oneof(
  fc.record({ kind: fc.constant('rotate' as const), key: fc.constantFrom('db', 'token', 'env'), value }),
  fc.record({ kind: fc.constant('flag' as const), flag, value }),
  fc.record({ kind: fc.constant('edit' as const) }),
  fc.record({ kind: fc.constant('erase' as const) }),
  fc.record({ kind: fc.constant('sync' as const) }),
  fc.record({ kind: fc.constant('back' as const), to: fc.nat() }),
  fc.record({ kind: fc.constant('unpin' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const textOf = (key: string, text: string): string => {
  if (key === 'db') return JSON.stringify({ user: `user ${text}`, password: `password ${text}` });
  return key === 'env' ? JSON.stringify({ [`ENV_${text}`]: text, MODE: text }) : text;
};

/** Opens a world whose sources have one version each. Also returns the values of the sources. */
async function open() {
  const world = await openWorld({ mappings: MAPPINGS });
  const current = new Map<string, string>();
  let versions = 0;
  const put = (key: string, text: string): void => {
    versions += 1;
    current.set(key, text);
    world.store.put(key, textOf(key, text), `v${versions}`);
  };
  for (const key of ['db', 'token', 'env', 'flags/x']) put(key, 'a');
  await world.sync();
  return { world, current, put };
}

const dataOf = (world: World) => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'data');
const annotationsOf = (world: World) =>
  objectIn(objectIn(world.cluster.raw(APPS_DB) ?? {}, 'metadata') ?? {}, 'annotations') ?? {};

/** Returns the expected content of an unpinned target for the given source values. */
function followed(current: ReadonlyMap<string, string>): Record<string, string> {
  const [db, token, env] = ['db', 'token', 'env'].map((key) => current.get(key) ?? '');
  const flags = [...current].filter(([key]) => key.startsWith('flags/'));
  return {
    USER: base64(`user ${db}`),
    PASSWORD: base64(`password ${db}`),
    TOKEN: base64(token ?? ''),
    [`ENV_${env}`]: base64(env ?? ''),
    MODE: base64(env ?? ''),
    url: base64(`user ${db}:password ${db}@${token}`),
    ...Object.fromEntries(flags.map(([key, text]) => [key.slice(6).toUpperCase(), base64(text)])),
  };
}

async function perform(
  currentStep: Step,
  { world, put }: Awaited<ReturnType<typeof open>>,
  to: number | undefined,
) {
  await using process = await world.start();
  switch (currentStep.kind) {
    case 'rotate':
      return put(currentStep.key, currentStep.value);
    case 'flag':
      return put(`flags/${currentStep.flag}`, currentStep.value);
    case 'edit':
      if (world.cluster.raw(APPS_DB) !== undefined)
        world.cluster.edit(APPS_DB, (raw) => ({
          ...raw,
          data: { ...objectIn(raw, 'data'), TOKEN: base64('by hand') },
        }));
      return undefined;
    case 'erase':
      if (world.cluster.raw(APPS_DB) !== undefined) world.cluster.forget(APPS_DB);
      return undefined;
    case 'back':
      return to === undefined ? undefined : await rollBackLocally(process.app, { mapping: 'db', to });
    case 'unpin':
      return await unpinLocally(process.app, { mapping: 'db' });
    default:
      return undefined;
  }
}

describe('rollback (property)', () => {
  it('a rollback restores the content at any record, and every sweep keeps this content until an unpin', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 14 }), async (steps) => {
        const bench = await open();
        const { world, current } = bench;
        const held = new Map<number, Record<string, unknown>>();
        const config = annotationsOf(world)['secretbridge.dev/config'];
        let pinned: number | undefined;
        const note = (): void => {
          const last = world.records.findLast(
            ({ phase, action }) => phase === 'outcome' && action !== 'delete',
          );
          if (last !== undefined && !held.has(last.sequence)) held.set(last.sequence, dataOf(world) ?? {});
        };
        note();
        for (const currentStep of steps) {
          const sequences = [...held.keys()];
          const to = currentStep.kind === 'back' ? sequences[currentStep.to % sequences.length] : undefined;
          if (currentStep.kind !== 'unpin' || pinned !== undefined) await perform(currentStep, bench, to);
          if (currentStep.kind === 'back') pinned = to;
          if (currentStep.kind === 'unpin') pinned = undefined;
          await world.sync();
          note();
          // The configuration hash is the same with and without a pin.
          expect(annotationsOf(world)['secretbridge.dev/config']).toBe(config);
          expect(annotationsOf(world)['secretbridge.dev/pin']).toBe(
            pinned === undefined ? undefined : String(pinned),
          );
          expect(dataOf(world)).toEqual(pinned === undefined ? followed(current) : held.get(pinned));
          const { length } = world.changes;
          expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
          expect(world.changes).toHaveLength(length);
        }
        expect(await world.chain()).toMatchObject({ kind: 'intact' });
      }),
      { numRuns: 25 },
    );
  });
});

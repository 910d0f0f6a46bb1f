import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { isContested } from '../../src/reconcile/latest-records.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { type ReconcileOptions, reconcile } from '../../src/reconcile/reconcile.ts';
import { APPS_DB, base64, DB_ONLY, openDb, openWorld, type World } from './world.ts';

/** Reconciles the target once, as a job in the service does. */
async function run(world: World, options?: ReconcileOptions): Promise<Outcome> {
  await using process = await world.start();
  const pass = await process.app.createContext();
  const [mapping] = process.app.config.mappings;
  if (mapping === undefined) throw new Error('no mapping');
  return await reconcile(mapping, APPS_DB, pass, options);
}

const report = { drift: 'report' } as const;

function edit(world: World, text = 'by hand'): void {
  world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { ...objectIn(raw, 'data'), USER: base64(text) } }));
}

function unlabel(world: World, label: string): void {
  world.cluster.edit(APPS_DB, (raw) => {
    const metadata = objectIn(raw, 'metadata');
    const { [label]: _, ...labels } = objectIn(metadata ?? {}, 'labels') ?? {};
    return { ...raw, metadata: { ...metadata, labels } };
  });
}

const dataOf = (world: World) => world.cluster.raw(APPS_DB)?.data;
const WANTED = { USER: base64('ann'), PASSWORD: base64('first') };

/** Creates a target that is in sync. `news` returns the records that were added after its creation. */
async function openInStep(mappings = DB_ONLY): Promise<{ world: World; news: () => readonly string[] }> {
  const world = await openWorld({ mappings });
  await run(world);
  const { length } = world.records;
  return { world, news: () => world.story(length) };
}

describe('manual edit', () => {
  it('a manual edit is repaired, and the record has the action `repair`', async () => {
    const { world, news } = await openInStep();
    edit(world);
    expect(await run(world)).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual(WANTED);
    expect(news()).toEqual(['repair intent db ok', 'repair outcome db ok']);
    expect(world.records.at(-1)?.keys).toEqual({ added: [], changed: ['USER'], removed: [] });
  });

  it('a manual edit is kept with `onDrift: report`, and recorded only once until somebody reverts the edit', async () => {
    const { world, news } = await openInStep();
    edit(world);
    for (const _ of [1, 2])
      expect(await run(world, report)).toMatchObject({
        kind: 'refused',
        drifted: true,
        error: { code: 'DRIFTED' },
        alive: true,
        keys: [
          { name: 'PASSWORD', action: 'keep' },
          { name: 'USER', action: 'change' },
        ],
      });
    expect(dataOf(world)).toMatchObject({ USER: base64('by hand') });
    expect(news()).toEqual(['refuse db refused DRIFTED']);
    edit(world, 'ann');
    // Another manager now owns the field, but its value is the desired one.
    expect(await run(world, report)).toMatchObject({ kind: 'unchanged' });
    expect(news().at(-1)).toBe('sweep db ok');
  });

  it('a manual edit is overwritten after a change of the source, even with `onDrift: report`', async () => {
    const { world, news } = await openInStep();
    edit(world);
    await run(world, report);
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    expect(await run(world, report)).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual({ ...WANTED, PASSWORD: base64('second') });
    expect(news().slice(-2)).toEqual(['update intent db ok', 'update outcome db ok']);
  });

  it('a manual edit is overwritten if a person runs `sync`, even with `onDrift: report`', async () => {
    const { world } = await openInStep();
    edit(world);
    await run(world, report);
    expect(await run(world, { drift: 'repair' })).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual(WANTED);
    expect(await run(world, report)).toMatchObject({ kind: 'unchanged' });
  });

  it('a manual edit is repaired if it changes an annotation and leaves both ownership labels in place', async () => {
    const { world, news } = await openInStep();
    unlabel(world, 'app.kubernetes.io/managed-by');
    expect(await run(world, report)).toMatchObject({ drifted: true });
    expect(await run(world)).toMatchObject({ kind: 'updated' });
    expect(news().slice(-1)).toEqual(['repair outcome db ok']);
  });

  it.each(['secretbridge.dev/instance', 'secretbridge.dev/mapping'])(
    'a manual edit is never repaired if it removes the label %s, because a Secret without this label is no longer ours',
    async (label) => {
      const { world } = await openInStep();
      unlabel(world, label);
      const before = world.cluster.raw(APPS_DB);
      for (const options of [{}, report])
        expect(await run(world, options)).toMatchObject({ kind: 'refused', error: { code: 'NOT_OWNED' } });
      expect(world.cluster.raw(APPS_DB)).toEqual(before);
    },
  );

  it('a manual edit is repaired if it changes a key that we merged into a foreign Secret', async () => {
    const world = await openWorld({
      mappings: `
  - name: db
    target: { namespace: apps, mode: merge }
    data: { USER: { store: vault, key: db, property: user } }
`,
    });
    world.cluster.put(APPS_DB, { data: { THEIRS: base64('1') } });
    await run(world);
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { THEIRS: base64('1') } }));
    expect(await run(world, report)).toMatchObject({ drifted: true });
    expect(await run(world)).toMatchObject({ kind: 'updated' });
    expect(world.story().at(-1)).toBe('repair outcome db ok');
    expect(dataOf(world)).toEqual({ THEIRS: base64('1'), USER: base64('ann') });
  });
});

describe('replacement of a foreign Secret that contained merged keys', () => {
  const MERGE = `
  - name: db
    target: { namespace: apps, mode: merge }
    data: { USER: { store: vault, key: db, property: user } }
    restart: [ { kind: Deployment, name: app } ]
`;
  const theirs = { data: { THEIRS: base64('1') } };
  const replace = (world: World): void => world.cluster.put(APPS_DB, theirs);

  async function openMerged(): Promise<{ world: World; news: () => readonly string[] }> {
    const world = await openWorld({ mappings: MERGE });
    replace(world);
    await run(world);
    const { length } = world.records;
    replace(world);
    return { world, news: () => world.story(length) };
  }

  it('if somebody replaces a foreign Secret that contained merged keys, the target is repaired, and the record of the repair has equal values of `before` and `after`', async () => {
    const { world, news } = await openMerged();
    expect(await run(world)).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual({ THEIRS: base64('1'), USER: base64('ann') });
    expect(news()).toEqual(['repair intent db ok', 'repair outcome db ok']);
    const repair = world.records.at(-1);
    expect(repair).toMatchObject({ keys: { added: ['USER'] } });
    expect(repair?.before).toBe(repair?.after);
  });

  it('if somebody replaces a foreign Secret that contained merged keys, `onDrift: report` prevents a repair until the source changes', async () => {
    const { world, news } = await openMerged();
    for (const _ of [1, 2])
      expect(await run(world, report)).toMatchObject({ kind: 'refused', drifted: true, alive: true });
    expect(dataOf(world)).toEqual(theirs.data);
    expect(news()).toEqual(['refuse db refused DRIFTED']);
    world.store.put('db', '{"user":"eve","password":"first"}', '2');
    expect(await run(world, report)).toMatchObject({ kind: 'updated' });
    expect(news().slice(-2)).toEqual(['update intent db ok', 'update outcome db ok']);
  });

  it('a merge target becomes contested if somebody replaces the foreign Secret repeatedly', async () => {
    const { world } = await openMerged();
    for (let repair = 1; repair <= 6; repair += 1) {
      replace(world);
      await run(world);
    }
    await using process = await world.start();
    expect(await isContested(process.app.audit, APPS_DB, world.clock, process.app.instances)).toBe(true);
  });

  it('the replacement of a foreign Secret is not drift if our keys had never been merged into that Secret', async () => {
    const world = await openWorld({ mappings: MERGE });
    replace(world);
    expect(await run(world, report)).toMatchObject({ kind: 'updated' });
    expect(world.story()).toContain('update outcome db ok');
  });

  it('the replacement of a foreign Secret by a Secret of a mapping is not drift, and the merge is refused', async () => {
    const world = await openWorld({ mappings: MERGE.replace(', mode: merge', '') });
    await run(world);
    const before = world.cluster.raw(APPS_DB);
    await world.configure(MERGE);
    expect(await run(world, report)).toMatchObject({ kind: 'refused', error: { code: 'TARGET_CLAIMED' } });
    expect(world.cluster.raw(APPS_DB)).toEqual(before);
  });
});

describe('manual deletion', () => {
  it('a manual deletion is repaired, and the record has the action `repair`', async () => {
    const { world, news } = await openInStep();
    world.cluster.forget(APPS_DB);
    expect(await run(world)).toMatchObject({ kind: 'created' });
    expect(news()).toEqual(['repair intent db ok', 'repair outcome db ok']);
  });

  it('a manual deletion is not repaired with `onDrift: report` until the source changes', async () => {
    const { world, news } = await openInStep();
    world.cluster.forget(APPS_DB);
    for (const _ of [1, 2])
      expect(await run(world, report)).toMatchObject({ kind: 'refused', drifted: true, alive: false });
    expect(news()).toEqual(['refuse db refused DRIFTED']);
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    expect(await run(world, report)).toMatchObject({ kind: 'created' });
    expect(news().slice(-2)).toEqual(['create intent db ok', 'create outcome db ok']);
  });

  it('a deletion of the whole namespace is not drift, so the target is created in the new namespace even with `onDrift: report`', async () => {
    const { world, news } = await openInStep();
    const missing = new AppError('NAMESPACE_MISSING');
    // The permissions in the namespace were deleted with it, so the next run cannot read the target.
    const forbidden = new AppError('CLUSTER_FORBIDDEN');
    world.cluster.forget(APPS_DB);
    world.cluster.fail('create', missing, missing);
    for (const _ of [1, 2])
      expect(await run(world, report)).toMatchObject({ kind: 'failed', error: missing, alive: false });
    world.cluster.fail('read', forbidden);
    expect(await run(world, report)).toMatchObject({ kind: 'failed', error: forbidden });
    expect(await run(world, report)).toMatchObject({ kind: 'created' });
    expect(news()).toEqual([
      'refuse db failed NAMESPACE_MISSING',
      'refuse db failed CLUSTER_FORBIDDEN',
      'repair intent db ok',
      'repair outcome db ok',
    ]);
    // The repair has created the target again, so another deletion counts as manual.
    world.cluster.forget(APPS_DB);
    expect(await run(world, report)).toMatchObject({ kind: 'refused', error: { code: 'DRIFTED' } });
  });

  it.each([
    ['is unavailable at first', 'CLUSTER_UNAVAILABLE', 'CLUSTER_UNAVAILABLE'],
    ['would refuse a new Secret', 'CLUSTER_REFUSED', 'DRIFTED'],
  ] as const)('a manual deletion is reported as drift even if the cluster %s', async (_, answer, message) => {
    const { world } = await openInStep();
    world.cluster.forget(APPS_DB);
    world.cluster.fail('create', new AppError(answer));
    expect(await run(world, report)).toMatchObject({ error: { code: message } });
    expect(await run(world, report)).toMatchObject({ error: { code: 'DRIFTED' } });
    expect(dataOf(world)).toBeUndefined();
  });

  it('a manual deletion still counts as drift after a failed repair', async () => {
    const { world, news } = await openInStep();
    world.cluster.forget(APPS_DB);
    world.cluster.fail('create', new AppError('CLUSTER_FORBIDDEN'));
    expect(await run(world)).toMatchObject({ kind: 'failed' });
    await run(world);
    expect(news()).toEqual([
      ...['repair intent db ok', 'repair outcome db failed CLUSTER_FORBIDDEN'],
      ...['repair intent db ok', 'repair outcome db ok'],
    ]);
  });

  it.each([
    ['is no longer ours', 'NOT_OWNED', async (world: World) => unlabel(world, 'secretbridge.dev/mapping')],
    [
      'cannot be changed',
      'IMMUTABLE',
      (world: World) => world.configure(DB_ONLY.replace('apps }', 'apps, type: example.org/db }')),
    ],
  ])(
    'a manual deletion of a target that %s is not drift, so the target is created even with `onDrift: report`',
    async (_, code, make) => {
      const { world, news } = await openInStep();
      await make(world);
      expect(await run(world, report)).toMatchObject({ kind: 'refused', error: { code } });
      world.cluster.forget(APPS_DB);
      world.cluster.fail('create', new AppError('CLUSTER_UNAVAILABLE'));
      expect(await run(world, report)).toMatchObject({ kind: 'failed' });
      expect(await run(world, report)).toMatchObject({ kind: 'created' });
      expect(news()).toEqual([
        `refuse db refused ${code}`,
        ...['repair intent db ok', 'repair outcome db failed CLUSTER_UNAVAILABLE'],
        ...['repair intent db ok', 'repair outcome db ok'],
      ]);
      world.cluster.forget(APPS_DB);
      expect(await run(world, report)).toMatchObject({ kind: 'refused', drifted: true });
    },
  );

  it('a manual deletion is not assumed for a target that never existed or that we deleted', async () => {
    const world = await openDb();
    expect(await run(world, report)).toMatchObject({ kind: 'created' });
    expect(world.story()).toContain('create outcome db ok');
  });
});

describe('two writers of one target', () => {
  it('two writers make their target contested if more than five repairs occur in ten minutes, even if several processes make the repairs', async () => {
    const { world } = await openInStep();
    const contested = async () => {
      await using process = await world.start();
      return await isContested(process.app.audit, APPS_DB, world.clock, process.app.instances);
    };
    for (let repair = 1; repair <= 5; repair += 1) {
      edit(world);
      await run(world);
    }
    expect(await contested()).toBe(false);
    world.clock.set(world.clock.now() + 60_000);
    edit(world);
    await run(world);
    expect(await contested()).toBe(true);
    world.clock.set(world.clock.now() + 9 * 60_000 + 1);
    expect(await contested()).toBe(false);
  });
});

describe('two writers of a target that may be adopted', () => {
  it('a target that may be adopted becomes contested after too many adoptions, even if another writer removes our labels', async () => {
    const adopting = DB_ONLY.replace('target:', 'onConflict: adopt\n    target:');
    const { world } = await openInStep(adopting);
    const contested = async () => {
      await using process = await world.start();
      return await isContested(process.app.audit, APPS_DB, world.clock, process.app.instances);
    };
    for (let round = 1; round <= 5; round += 1) {
      world.cluster.put(APPS_DB, { type: 'Opaque', data: { USER: base64('theirs') } });
      expect(await run(world)).toMatchObject({ kind: 'updated' });
    }
    expect(world.story().filter((line) => line === 'adopt outcome db ok')).toHaveLength(5);
    expect(await contested()).toBe(false);
    edit(world);
    expect(await run(world)).toMatchObject({ kind: 'updated' });
    expect(world.story().at(-1)).toBe('repair outcome db ok');
    expect(await contested()).toBe(true);
  });
});

describe('outcome', () => {
  it('an outcome contains the resource version after the write, or the version that was read if there was no write', async () => {
    const world = await openDb();
    const version = () => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'metadata')?.resourceVersion;
    const created = await run(world);
    expect(created.resourceVersion).toBe(version());
    expect((await run(world)).resourceVersion).toBe(version());
    edit(world);
    expect((await run(world, report)).resourceVersion).toBe(version());
    expect((await run(world)).resourceVersion).toBe(version());
    world.store.fail('db', new AppError('TIMEOUT'));
    expect((await run(world)).resourceVersion).toBe(version());
  });

  it('an outcome contains each source only once, with its version', async () => {
    const world = await openDb();
    const sources = [{ store: 'vault', key: 'db', version: '1' }];
    expect(await run(world)).toMatchObject({ sources });
    expect(await run(world)).toMatchObject({ kind: 'unchanged', sources });
    world.store.fail('db', new AppError('TIMEOUT'));
    expect(await run(world)).not.toHaveProperty('sources');
  });
});

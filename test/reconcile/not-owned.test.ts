import { expect, it } from 'vitest';
import { planTargets } from '../../src/commands/plan.ts';
import { AppError } from '../../src/core/errors.ts';
import { LABEL } from '../../src/sync/ownership-metadata.ts';
import { APPS_DB, openWorld, type World } from './world.ts';

// A foreign Secret does not count as a target, even if a mapping refers to it.

const MINUTE = 60_000;
const OLD = `
  - name: old
    target: { namespace: apps }
    onMappingRemoved: delete
    data: { T: { store: vault, key: token } }`;
const THEIRS = { namespace: 'apps', secret: 'theirs' };
const GONE = 'data: { T: { store: vault, key: gone } }';

const isThere = (world: World, secret: string): boolean =>
  world.cluster.raw({ namespace: 'apps', secret }) !== undefined;

it.each([
  ['merge into it', `target: { namespace: apps, secret: theirs, mode: merge }, ${GONE}`],
  ['adopt it', `target: { namespace: apps, secret: theirs }, onConflict: adopt, ${GONE}`],
])(
  'a foreign Secret does not count as an orphaned target even if a mapping wants to %s',
  async (_, mapping) => {
    const world = await openWorld({ mappings: OLD });
    await world.sync();
    world.cluster.put(THEIRS, { type: 'Opaque', data: { A: 'eA==' } });
    await world.configure(`\n  - { name: m, ${mapping} }`);
    await using process = await world.start();
    const plan = await planTargets(process.app);
    expect(plan.held).toMatchObject([{ secret: 'old' }]);
    expect(await process.sync()).toMatchObject({ summary: { deleted: 0, held: 1, failed: 1 } });
    expect(isThere(world, 'old')).toBe(true);
  },
);

const ADOPTING = `
  - name: db
    target: { namespace: apps }
    onConflict: adopt
    onSourceMissing: delete
    data: { T: { store: vault, key: token } }
  - name: other
    target: { namespace: apps }
    data: { T: { store: vault, key: db } }`;

it('a target whose source is gone is kept if somebody removed its ownership label', async () => {
  const world = await openWorld({ mappings: ADOPTING });
  await world.sync();
  const raw = world.cluster.raw(APPS_DB) as { metadata: { labels: Record<string, string> } };
  const { [LABEL.instance]: _, ...labels } = raw.metadata.labels;
  world.cluster.put(APPS_DB, { ...raw, metadata: { ...raw.metadata, labels } });
  world.store.absent('token');
  for (let reading = 1; reading <= 4; reading += 1) {
    await world.sync();
    await world.clock.advance(6 * MINUTE);
  }
  expect(await world.sync()).toMatchObject({ summary: { deleted: 0, failed: 1 } });
  expect(isThere(world, 'db')).toBe(true);
});

it('a change that would fail anyway is not offered for release', async () => {
  const spread = ADOPTING.replace(
    'data: { T: { store: vault, key: token } }',
    'dataFrom: [ { store: vault, key: db } ]',
  );
  const world = await openWorld({ mappings: spread });
  await world.sync();
  const raw = world.cluster.raw(APPS_DB) as { metadata: { labels: Record<string, string> } };
  const { [LABEL.instance]: _, ...labels } = raw.metadata.labels;
  world.cluster.put(APPS_DB, { ...raw, metadata: { ...raw.metadata, labels } });
  world.store.put('db', '{}', '2');
  await using process = await world.start();
  const { held, targets } = await process.sync();
  expect(held).toEqual([]);
  expect(targets).toMatchObject([
    { kind: 'refused', error: { code: 'NOT_OWNED' }, keys: [{ action: 'remove' }, { action: 'remove' }] },
    { mapping: 'other' },
  ]);
  expect(isThere(world, 'db')).toBe(true);
});

it('a target belongs only to the first of two mappings that claim it', async () => {
  const both = (name: string) => `
  - name: ${name}
    target: { namespaceSelector: { matchLabels: { team: a } }, secret: db }
    data: { T: { store: vault, key: token } }`;
  const world = await openWorld({
    mappings: both('a') + both('b'),
    cluster: { namespaces: { apps: { team: 'a' } } },
  });
  await using process = await world.start();
  const { targets } = await planTargets(process.app);
  expect(targets).toMatchObject([
    { mapping: 'a', action: 'create' },
    { mapping: 'b', action: 'refuse', error: { code: 'TARGET_CLAIMED' } },
  ]);
  expect(await process.sync()).toMatchObject({ summary: { created: 1, refused: 1 } });
});

it('a recreation records the content from before the deletion even if the first attempt to create the Secret failed', async () => {
  const typed = (type: string) => ADOPTING.replace('apps }', `apps, type: ${type}, recreate: true }`);
  const world = await openWorld({ mappings: typed('example.com/a') });
  await world.sync();
  world.store.put('token', 'second', '2');
  await world.configure(typed('example.com/b'));
  await world.sync(({ call, phase, args }) => {
    const [, , options] = args as [unknown, unknown, { dryRun?: boolean } | undefined];
    if (call === 'cluster.create' && phase === 'before' && options?.dryRun !== true)
      throw new AppError('CLUSTER_UNAVAILABLE');
  });
  expect(isThere(world, 'db')).toBe(false);
  await world.sync();
  const of = (action: string) =>
    world.records.findLast(
      (auditRecord) =>
        auditRecord.action === action && auditRecord.phase === 'outcome' && auditRecord.secret === 'db',
    );
  expect(of('create')?.before).toBe(of('delete')?.before);
  expect(of('create')?.after).toBe(of('delete')?.after);
  expect(world.story().filter((line) => line.startsWith('repair'))).toEqual([]);
});

it('a Secret counts as one target if two mappings claim it, and is kept if it is the last target', async () => {
  const claims = (name: string, policy = '') => `
  - name: ${name}
    target: { namespaceSelector: { matchLabels: { ${name}: 'yes' } }, secret: x }
    ${policy}
    data: { T: { store: vault, key: ${name} } }`;
  const world = await openWorld({
    mappings: claims('a', 'onSourceMissing: delete') + claims('b'),
    more: 'absence: { readings: 2, over: 1s }',
    cluster: { namespaces: { apps: { a: 'yes', b: 'yes' } } },
  });
  for (const key of ['a', 'b']) world.store.put(key, key);
  expect(await world.sync()).toMatchObject({ summary: { created: 1, refused: 1 } });
  world.store.absent('a');
  await world.sync();
  await world.clock.advance(2_000);
  await using process = await world.start();
  expect((await planTargets(process.app)).held).toMatchObject([{ mapping: 'a' }]);
  expect(await process.sync()).toMatchObject({ summary: { deleted: 0, held: 1, refused: 1 } });
  expect(isThere(world, 'x')).toBe(true);
});

it('the records of an instance are queried once, even if the list of former instances contains the name of the instance', async () => {
  const world = await openWorld({ mappings: OLD, more: 'formerInstances: [ old, prod, old ]' });
  await using process = await world.start();
  expect(process.app.instances).toEqual(['prod', 'old']);
});

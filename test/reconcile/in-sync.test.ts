import { describe, expect, it } from 'vitest';
import type { SecretMeta } from '../../src/cluster/cluster.ts';
import { objectIn } from '../../src/cluster/json.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import { refId } from '../../src/core/read-result.ts';
import { looksInSync, sourceVersionsOf } from '../../src/reconcile/in-sync.ts';
import { ANNOTATION, LABEL } from '../../src/sync/ownership-metadata.ts';
import { createMemoryCluster } from '../fakes/memory-cluster.ts';
import { base64, openWorld, type World } from '../reconcile/world.ts';
import { meta, settled, wanted } from '../service/sample.ts';
import { mapping, source } from '../sync/sample.ts';

const APP = { namespace: 'apps', secret: 'app' };
const DATA = {
  USER: source({ key: 'db', property: 'user' }),
  PASSWORD: source({ key: 'db', property: 'password' }),
};
const PLAIN = mapping({ data: DATA, target: { labels: { team: 'a' }, annotations: { note: 'b' } } });
const TEMPLATED = mapping({
  data: DATA,
  template: { data: { 'app.yaml': 'user: {{ USER }}' }, only: false },
});
const ONLY = mapping({ data: DATA, template: { data: { 'app.yaml': 'user: {{ USER }}' }, only: true } });
const SPREAD = mapping({ dataFrom: [source({ key: 'db' })] });
const EMPTY_OPTIONAL = mapping({ data: { ...DATA, MORE: source({ key: 'more', optional: true }) } });
const MANY_KEYS = mapping({
  dataFrom: [source({ key: 'many' })],
  template: { data: { 'app.yaml': 'x' }, only: false },
});

async function written(...mappings: readonly Mapping[]): Promise<World> {
  const world = await openWorld({ mappings });
  const members = Array.from({ length: 900 }, (_, index) => [`key-${index}-${'x'.repeat(40)}`, 'v']);
  world.store.put('many', JSON.stringify(Object.fromEntries(members)));
  const report = await world.sync();
  expect(report.targets.map(({ kind, error }) => error?.message ?? kind)).toEqual(
    mappings.map(() => 'created'),
  );
  return world;
}

/** Returns the metadata as the watch of the cluster reports it. */
async function metaOf({ cluster }: Pick<World, 'cluster'>): Promise<SecretMeta> {
  const reported: SecretMeta[] = [];
  const handlers = {
    listed: (found: readonly SecretMeta[]) => void reported.push(...found),
    changed: () => undefined,
    deleted: () => undefined,
    progress: () => undefined,
  };
  await using _ = cluster.watch(APP, handlers);
  await settled();
  const [found] = reported;
  if (found === undefined) throw new Error('it is not there');
  return found;
}

const stores = new Map([['vault', 'definition']]);
const judge = async (world: World, variant: Mapping, instance = 'prod') =>
  looksInSync(await metaOf(world), { mapping: variant, instance, stores });

const inMetadata = (change: (metadata: JsonObject) => JsonObject) => (raw: JsonObject) => ({
  ...raw,
  metadata: change(objectIn(raw, 'metadata') ?? {}),
});
const put = (part: 'labels' | 'annotations', name: string, value: string | undefined) =>
  inMetadata((metadata) => {
    const { [name]: _, ...others } = objectIn(metadata, part) ?? {};
    return { ...metadata, [part]: value === undefined ? others : { ...others, [name]: value } };
  });
const putKey = (key: string, text: string | undefined) => (raw: JsonObject) => {
  const { [key]: _, ...others } = objectIn(raw, 'data') ?? {};
  return { ...raw, data: text === undefined ? others : { ...others, [key]: base64(text) } };
};

describe('looksInSync for a target in sync', () => {
  it.each([
    ['plain', PLAIN],
    ['with a template', TEMPLATED],
    ['with only a template', ONLY],
    ['spread from an object', SPREAD],
    ['with an absent optional source', EMPTY_OPTIONAL],
    ['with more sources than its annotation can hold', MANY_KEYS],
  ])('looksInSync accepts our unchanged target: %s', async (_, variant) => {
    const world = await written(variant);
    expect(await judge(world, variant)).toBe(true);
  });

  it('looksInSync accepts a target after another manager set fields that are not ours', async () => {
    const world = await written(PLAIN);
    world.cluster.edit(APP, put('labels', 'owner', 'somebody'));
    world.cluster.edit(APP, put('annotations', 'reloader', 'yes'));
    expect(await judge(world, PLAIN)).toBe(true);
  });

  it('looksInSync accepts a target after we repaired a manual edit', async () => {
    const world = await written(TEMPLATED);
    world.cluster.edit(APP, putKey('app.yaml', undefined));
    world.cluster.edit(APP, put('labels', LABEL.managedBy, 'helm'));
    await world.sync();
    expect(await judge(world, TEMPLATED)).toBe(true);
  });
});

describe('looksInSync for a target out of sync', () => {
  const EDITS: readonly (readonly [string, Mapping, (raw: JsonObject) => JsonObject])[] = [
    ['a changed value', PLAIN, putKey('USER', 'eve')],
    ['a removed key', PLAIN, putKey('USER', undefined)],
    ['an added key', PLAIN, putKey('EXTRA', 'x')],
    ['a changed value of a template', TEMPLATED, putKey('app.yaml', 'x')],
    ['a removed key of a template', TEMPLATED, putKey('app.yaml', undefined)],
    ['removal of the only key of a template', ONLY, putKey('app.yaml', undefined)],
    ['removal of one of very many keys', MANY_KEYS, putKey('app.yaml', undefined)],
    ['a changed type', PLAIN, (raw) => ({ ...raw, type: 'example.com/other' })],
    ['immutability', PLAIN, (raw) => ({ ...raw, immutable: true })],
    ['a changed label of the mapping', PLAIN, put('labels', 'team', 'b')],
    ['a removed label of the mapping', PLAIN, put('labels', 'team', undefined)],
    ['a changed annotation of the mapping', PLAIN, put('annotations', 'note', 'c')],
    ['a removed instance label', PLAIN, put('labels', LABEL.instance, undefined)],
    ['another mapping in its label', PLAIN, put('labels', LABEL.mapping, 'other')],
    ['a changed managed-by label', PLAIN, put('labels', LABEL.managedBy, 'helm')],
    ...Object.values(ANNOTATION).flatMap((name) => [
      [`another ${name}`, PLAIN, put('annotations', name, '{}')] as const,
      [`a removed ${name}`, PLAIN, put('annotations', name, undefined)] as const,
    ]),
  ];

  it.each(EDITS)('looksInSync rejects a target after %s', async (_, variant, change) => {
    const world = await written(variant);
    world.cluster.edit(APP, change);
    expect(await judge(world, variant)).toBe(false);
  });

  it('looksInSync rejects a target that is being deleted and waits for finalizers', async () => {
    const world = await written(PLAIN);
    world.cluster.edit(
      APP,
      inMetadata((metadata) => ({ ...metadata, deletionTimestamp: '2027-01-15T08:00:00Z' })),
    );
    expect(await judge(world, PLAIN)).toBe(false);
  });

  it('looksInSync rejects a target after a change of its configuration, instance or store', async () => {
    const world = await written(PLAIN);
    const { USER } = DATA;
    expect(await judge(world, { ...PLAIN, data: { USER } })).toBe(false);
    expect(await judge(world, { ...PLAIN, onMappingRemoved: 'delete' })).toBe(false);
    expect(await judge(world, PLAIN, 'other')).toBe(false);
    const moved = new Map([['vault', 'another']]);
    expect(looksInSync(await metaOf(world), { mapping: PLAIN, instance: 'prod', stores: moved })).toBe(false);
    expect(await judge(world, { ...PLAIN, refreshMs: 1_000 })).toBe(true);
  });

  it('looksInSync rejects a target that another writer has replaced by a copy with the same name', async () => {
    const world = await written(PLAIN);
    const raw = world.cluster.raw(APP);
    const copy = createMemoryCluster();
    const { managedFields: _, ...metadata } = objectIn(raw ?? {}, 'metadata') ?? {};
    copy.put(APP, { ...raw, metadata });
    const copyMetadata = await metaOf({ cluster: copy });
    expect(looksInSync(copyMetadata, { mapping: PLAIN, instance: 'prod', stores })).toBe(false);
  });
});

describe('sourceVersionsOf', () => {
  const ref = (partial: Parameters<typeof source>[0]) => {
    const { store, key, version, object } = source(partial);
    return refId({
      store,
      ref: {
        key,
        ...(version === undefined ? {} : { version }),
        ...(object === undefined ? {} : { object }),
      },
    });
  };

  it('sourceVersionsOf returns the written versions, and `missing` for absent sources', async () => {
    const world = await written(EMPTY_OPTIONAL);
    expect(sourceVersionsOf(await metaOf(world), EMPTY_OPTIONAL)).toEqual(
      new Map([
        [ref({ key: 'db' }), '1'],
        [ref({ key: 'more' }), 'missing'],
      ]),
    );
  });

  it('sourceVersionsOf omits references that the annotation does not distinguish', () => {
    const desiredTarget = wanted({
      data: {
        A: source({ key: 'a' }),
        OLD: source({ key: 'a', version: 'AWSPREVIOUS' }),
        B: source({ key: 'b' }),
      },
    });
    const metadata = meta(desiredTarget, { A: ['a', '2'], OLD: ['a', '1'], B: ['b', '7'] });
    expect(sourceVersionsOf(metadata, desiredTarget.mapping)).toEqual(new Map([[ref({ key: 'b' }), '7']]));
  });

  it('sourceVersionsOf returns nothing for a damaged annotation, or for an annotation with only a count', async () => {
    const desiredTarget = wanted({ data: DATA });
    const damaged = meta(desiredTarget, {}, { annotations: { [ANNOTATION.sources]: '{' } });
    expect(sourceVersionsOf(damaged, desiredTarget.mapping).size).toBe(0);
    const world = await written(MANY_KEYS);
    expect(sourceVersionsOf(await metaOf(world), MANY_KEYS).size).toBe(0);
  });

  it('sourceVersionsOf is fast enough for a mapping with a thousand sources', () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    const desiredTarget = wanted({ data: Object.fromEntries(names.map((key) => [key, source({ key })])) });
    const metadata = meta(desiredTarget, Object.fromEntries(names.map((key) => [key, [key, '1'] as const])));
    const began = performance.now();
    expect(sourceVersionsOf(metadata, desiredTarget.mapping).size).toBe(1_000);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

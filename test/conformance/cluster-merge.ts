import { expect, it } from 'vitest';
import {
  type ClusterHarness,
  change,
  dataAsText,
  manifest,
  mergeManifest,
  readNow,
} from './cluster-harness.ts';

const base64 = (value: string) => Buffer.from(value).toString('base64');
const OURS = 'secretbridge.test.app';
const SECOND = 'secretbridge.test.second';

/** Registers tests for the merge mode: a mapping adds keys to a Secret of another owner. */
export function describeMerge(open: () => Promise<ClusterHarness>): void {
  const foreign = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'foreign' });
  const now = (h: ClusterHarness) => readNow(h.cluster, foreign(h));
  const dataNow = async (h: ClusterHarness) => dataAsText((await now(h)).data);
  const keysNow = async (h: ClusterHarness, manager = OURS) => h.cluster.mergedKeys(await now(h), manager);
  const merge = async (h: ClusterHarness, ...args: Parameters<typeof mergeManifest>) =>
    h.cluster.merge(await now(h), mergeManifest(...args));
  async function putForeign(h: ClusterHarness, data: Readonly<Record<string, string>> = { theirs: 'kept' }) {
    const encoded = Object.entries(data).map(([key, value]) => [key, base64(value)]);
    await h.put(foreign(h), { metadata: { labels: { of: 'them' } }, data: Object.fromEntries(encoded) });
  }

  it('merges our keys into a Secret, keeps its other keys, and reports which keys are ours', async () => {
    await using h = await open();
    await putForeign(h);
    expect(await keysNow(h)).toEqual([]);
    const expected = Object.fromEntries([
      ['ours', '1'],
      ['ca.crt', '2'],
      ['__proto__', '3'],
    ]);
    const result = await merge(h, expected);
    const after = await now(h);
    expect(result).toEqual({ kind: 'written', resourceVersion: after.resourceVersion });
    expect(Object.entries(dataAsText(after.data)).sort()).toEqual(
      Object.entries(expected)
        .concat([['theirs', 'kept']])
        .sort(),
    );
    expect(after).toMatchObject({ labels: { of: 'them' }, type: 'Opaque', ours: undefined });
    expect(await keysNow(h)).toEqual(['__proto__', 'ca.crt', 'ours']);
    expect(await keysNow(h, SECOND)).toEqual([]);
  });

  it('changes our keys, and removes those of our keys that are no longer wanted', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { a: '1', b: '2' });
    expect((await merge(h, { b: '3', c: '4' })).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ theirs: 'kept', b: '3', c: '4' });
    expect(await keysNow(h)).toEqual(['b', 'c']);
  });

  it('writes nothing, and reports the key, if another writer owns a key with a value that differs from our value', async () => {
    await using h = await open();
    await putForeign(h, { 'tls.crt': 'theirs', free: 'x' });
    const before = await h.raw(foreign(h));
    expect(await merge(h, { 'tls.crt': 'ours', new: '1' })).toEqual({ kind: 'conflict', keys: ['tls.crt'] });
    expect(await h.raw(foreign(h))).toEqual(before);
    expect(await keysNow(h)).toEqual([]);
  });

  it('shares a key with another writer if both have the same value, and keeps this key when our own keys are removed', async () => {
    await using h = await open();
    await putForeign(h, { both: 'same' });
    expect((await merge(h, { both: 'same', ours: '1' })).kind).toBe('written');
    expect(await keysNow(h)).toEqual(['both', 'ours']);
    expect(await merge(h, { both: 'changed', ours: '1' })).toEqual({ kind: 'conflict', keys: ['both'] });
    expect((await merge(h, {})).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ both: 'same' });
  });

  it('removes only our keys and our metadata in a merge without keys, and changes nothing in a second merge without keys', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { ours: '1' }, { labels: { l: '1' }, annotations: { a: '1' } });
    expect(await now(h)).toMatchObject({ labels: { of: 'them', l: '1' }, annotations: { a: '1' } });
    expect((await merge(h, {})).kind).toBe('written');
    const after = await now(h);
    expect(dataAsText(after.data)).toEqual({ theirs: 'kept' });
    expect(after).toMatchObject({ labels: { of: 'them' }, annotations: {} });
    const { resourceVersion } = after;
    expect(await merge(h, {})).toEqual({ kind: 'written', resourceVersion });
    expect((await now(h)).resourceVersion).toBe(resourceVersion);
  });

  it('keeps the Secret after it removed the last key', async () => {
    await using h = await open();
    await putForeign(h, {});
    await merge(h, { ours: '1' });
    await merge(h, {});
    expect(await dataNow(h)).toEqual({});
  });

  it('keeps the resource version if a merge changes nothing', async () => {
    await using h = await open();
    await putForeign(h);
    const part = { labels: { l: '1' } };
    await merge(h, { ours: '1' }, part);
    const { resourceVersion } = await now(h);
    expect(await merge(h, { ours: '1' }, part)).toEqual({ kind: 'written', resourceVersion });
    expect((await now(h)).resourceVersion).toBe(resourceVersion);
  });

  it('keeps the keys of two mappings in one Secret apart', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { a: '1', both: 'same' });
    expect((await merge(h, { b: '2', both: 'same' }, { manager: SECOND })).kind).toBe('written');
    expect(await keysNow(h)).toEqual(['a', 'both']);
    expect(await keysNow(h, SECOND)).toEqual(['b', 'both']);
    expect(await merge(h, { a: 'x', b: '2' }, { manager: SECOND })).toEqual({
      kind: 'conflict',
      keys: ['a'],
    });
    await merge(h, {});
    expect(await dataNow(h)).toEqual({ theirs: 'kept', b: '2', both: 'same' });
    expect((await merge(h, { both: 'alone now' }, { manager: SECOND })).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ theirs: 'kept', both: 'alone now' });
  });

  it('gives up a merged key after another writer has changed this key, and does not take the key back', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { taken: '1', ours: '1' });
    await h.edit(foreign(h), { data: { taken: base64('by hand') } });
    expect(await keysNow(h)).toEqual(['ours']);
    expect(await merge(h, { taken: '1', ours: '2' })).toEqual({ kind: 'conflict', keys: ['taken'] });
    expect(await dataNow(h)).toEqual({ theirs: 'kept', taken: 'by hand', ours: '1' });
    expect((await merge(h, { ours: '2' })).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ theirs: 'kept', taken: 'by hand', ours: '2' });
  });

  it('restores one of our keys after another writer removed it', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { ours: '1' });
    await h.edit(foreign(h), { data: { ours: null } });
    expect(await keysNow(h)).toEqual([]);
    expect((await merge(h, { ours: '1' })).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ theirs: 'kept', ours: '1' });
  });

  it('merges our keys even if other writers changed their own keys after our read', async () => {
    await using h = await open();
    await putForeign(h);
    await merge(h, { ours: '1' });
    const live = await now(h);
    await h.edit(foreign(h), { data: { theirs: base64('newer'), more: base64('1') } });
    expect((await h.cluster.merge(live, mergeManifest({ ours: '2' }))).kind).toBe('written');
    expect(await dataNow(h)).toEqual({ theirs: 'newer', more: '1', ours: '2' });
  });

  it('does not create the Secret if it was deleted after our read', async () => {
    await using h = await open();
    await putForeign(h);
    const live = await now(h);
    await h.remove(foreign(h));
    expect(await h.cluster.merge(live, mergeManifest({ ours: '1' }))).toEqual({ kind: 'missing' });
    expect(await h.cluster.merge(live, mergeManifest({}))).toEqual({ kind: 'missing' });
    expect(await h.cluster.read(foreign(h))).toBeUndefined();
  });

  it('does not write into the Secret if it was deleted and recreated after our read', async () => {
    await using h = await open();
    await h.cluster.create(foreign(h), manifest());
    const live = await now(h);
    await h.remove(foreign(h));
    await h.cluster.create(foreign(h), manifest());
    expect(await h.cluster.merge(live, mergeManifest({ ours: '1' }))).toEqual({ kind: 'conflict' });
    expect(await dataNow(h)).not.toHaveProperty('ours');
  });

  it('reports the fields that only our field managers own', async () => {
    await using h = await open();
    await putForeign(h, { theirs: 'kept', both: 'same' });
    const metadata = { labels: { of: 'them', l: '1' }, annotations: { a: '1' } };
    expect((await merge(h, { both: 'same', ours: '1' }, metadata)).kind).toBe('written');
    const exclusiveFields = async (...managers: readonly string[]) =>
      h.cluster.exclusivelyOwned(await now(h), managers);
    expect(await exclusiveFields(OURS)).toEqual({ labels: ['l'], annotations: ['a'], data: ['ours'] });
    const second = { manager: SECOND, labels: { l: '1' } };
    expect((await merge(h, { ours: '1', more: '2' }, second)).kind).toBe('written');
    expect(await exclusiveFields(OURS)).toEqual({ labels: [], annotations: ['a'], data: [] });
    expect(await exclusiveFields(OURS, SECOND)).toEqual({
      labels: ['l'],
      annotations: ['a'],
      data: ['more', 'ours'],
    });
    expect(await exclusiveFields()).toEqual({ labels: [], annotations: [], data: [] });
  });

  it('writes nothing if another writer owns a label with a value that differs from our value', async () => {
    await using h = await open();
    await putForeign(h);
    const before = await h.raw(foreign(h));
    expect(await merge(h, { ours: '1' }, { labels: { of: 'us' } })).toEqual({ kind: 'conflict', keys: [] });
    expect(await h.raw(foreign(h))).toEqual(before);
  });

  it('rejects a merge of keys into an immutable Secret (code IMMUTABLE), but allows a merge of labels', async () => {
    await using h = await open();
    await h.cluster.create(foreign(h), manifest({ immutable: true }));
    await expect(merge(h, { ours: '1' })).rejects.toMatchObject({ code: 'IMMUTABLE' });
    expect((await merge(h, {}, { labels: { l: '1' } })).kind).toBe('written');
  });

  it('gives up its merged keys if somebody replaces the Secret and removes or changes these keys', async () => {
    await using h = await open();
    await h.cluster.create(foreign(h), manifest());
    await merge(h, { kept: '1', changed: '1', removed: '1' });
    const { data } = mergeManifest({ kept: '1', changed: '2' });
    await h.cluster.replace(await now(h), change({ data }));
    expect(await keysNow(h)).toEqual(['kept']);
    expect(await dataNow(h)).toEqual({ kept: '1', changed: '2' });
  });

  it('merges keys for mappings whose names have the maximum length', async () => {
    await using h = await open();
    await putForeign(h);
    const [one, other] = ['a', 'b'].map((last) => `secretbridge.${'i'.repeat(63)}.${'m'.repeat(62)}${last}`);
    await merge(h, { one: '1' }, { manager: one ?? '' });
    await merge(h, { other: '1' }, { manager: other ?? '' });
    expect(await keysNow(h, one)).toEqual(['one']);
    expect(await keysNow(h, other)).toEqual(['other']);
    await merge(h, {}, { manager: one ?? '' });
    expect(await dataNow(h)).toEqual({ theirs: 'kept', other: '1' });
  });

  it('keeps the keys of twenty mappings that merge into one Secret at the same time', async () => {
    await using h = await open();
    await putForeign(h);
    const second = await h.another();
    const live = [await now(h), await readNow(second, foreign(h))] as const;
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
    const results = await Promise.all(
      keys.map((key, n) => {
        const [cluster, read] = n % 2 === 0 ? [h.cluster, live[0]] : [second, live[1]];
        return cluster.merge(read, mergeManifest({ [key]: '1' }, { manager: `secretbridge.test.${key}` }));
      }),
    );
    expect(results.map(({ kind }) => kind)).toEqual(keys.map(() => 'written'));
    expect(Object.keys(await dataNow(h)).sort()).toEqual(['theirs', ...keys].sort());
    await second[Symbol.asyncDispose]();
  });
}

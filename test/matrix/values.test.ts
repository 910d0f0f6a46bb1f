import { describe, expect, it } from 'vitest';
import { openBench } from './bench.ts';
import { STORES, type StoreName } from './table/case.ts';
import { FAKES } from './value-stores.ts';
import { describeValues } from './value-suite.ts';

const NAMES = Object.keys(STORES) as StoreName[];

for (const name of NAMES) describeValues(`values of ${STORES[name]} with its fake server`, FAKES[name], name);

describe('a search that fails halfway', () => {
  it.each(NAMES)('a search that fails halfway does not change the target (store: %s)', async (name) => {
    await using store = await FAKES[name]();
    const key = (path: string) =>
      name === 'parameters' ? `/${path}` : name === 'azure' ? path.replaceAll('/', '-') : path;
    const put = (path: string) =>
      store.put(key(path), { key: path, value: '{"a":"x"}', isObject: true }, undefined);
    for (let index = 0; index < 120; index += 1) await put(`f/n${index}`);
    await put('f/deep/n');
    const mappings = `\n  - { name: all, target: { namespace: apps }, onSourceMissing: removeKeys, dataFrom: [ { store: s, find: { path: ${key('f/')} }, rename: { invalid: replace } } ] }`;
    await using bench = await openBench({ store: store.config, env: store.env, mappings });
    const target = { namespace: 'apps', secret: 'all' };
    expect(await bench.sync()).toMatchObject({ ok: true });
    const before = JSON.stringify(bench.cluster.raw(target));
    expect(Object.keys(bench.cluster.raw(target)?.data ?? {})).toHaveLength(121);

    await store.breakSearch(key('f/'));
    for (const cycle of [1, 2, 3, 4]) {
      await bench.clock.advance(5 * 60_000);
      const code = name === 'files' ? 'ACCESS_DENIED' : 'STORE_UNAVAILABLE';
      expect((await bench.sync()).targets, `cycle ${cycle}`).toMatchObject([
        { kind: 'failed', error: { code } },
      ]);
      expect(JSON.stringify(bench.cluster.raw(target))).toBe(before);
    }
  });
});

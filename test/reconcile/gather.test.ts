import { describe, expect, it } from 'vitest';
import type { Mapping } from '../../src/core/mapping.ts';
import { type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { type GatherDeps, gather } from '../../src/reconcile/gather.ts';
import { found, mapping, source } from '../sync/sample.ts';

const ID = { namespace: 'apps', secret: 'app' };

/** Returns a gather function and the calls that it makes to the store. */
function counting(deps: Partial<GatherDeps>, keys: readonly string[] = []) {
  const calls: string[] = [];
  const all: GatherDeps = {
    async read(refs: readonly StoreRef[]) {
      calls.push(...refs.map(({ ref }) => `read ${ref.key}`));
      return new Map(refs.map((ref): [string, ReadResult] => [refId(ref), found('x')]));
    },
    whenRecorded: async () => undefined,
    async find(_, { path }) {
      calls.push(`find ${path}`);
      return keys;
    },
    allows: () => true,
    allowsSearch: () => true,
    ...deps,
  };
  return { calls, run: (given: Mapping) => gather(given, ID, async () => undefined, all) };
}

const wide = mapping({
  data: { fixed: source({ key: 'fixed' }) },
  dataFrom: [{ store: 'vault', find: { path: 'flags/', tags: {} } }],
});

describe('gather', () => {
  it('the gather step checks the access rules with the mapping, the namespace and each key', async () => {
    const accessChecks: unknown[] = [];
    const { run } = counting(
      {
        allows: (use) => accessChecks.push(use) > 0,
        allowsSearch: (use) => accessChecks.push(use) > 0,
      },
      ['flags/a'],
    );
    await run(wide);
    const caller = { mapping: wide, namespace: 'apps', store: 'vault' };
    expect(accessChecks).toEqual([
      { ...caller, key: 'fixed' },
      { ...caller, path: 'flags/' },
      { ...caller, key: 'flags/a' },
    ]);
  });

  it('the gather step makes no call to any store if one source of the mapping is forbidden', async () => {
    const { calls, run } = counting({ allows: ({ key }) => key !== 'fixed' });
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', subject: 'store vault, key fixed' },
    });
    expect(calls).toEqual([]);
  });

  it('the gather step makes no call to any store if one search of the mapping is forbidden', async () => {
    const { calls, run } = counting({ allowsSearch: () => false });
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', subject: 'store vault, search below flags/' },
    });
    expect(calls).toEqual([]);
  });

  it('the gather step reads no key if a search finds a forbidden key', async () => {
    const { calls, run } = counting({ allows: ({ key }) => key !== 'flags/b' }, ['flags/a', 'flags/b']);
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', subject: 'store vault, key flags/b' },
    });
    expect(calls).toEqual(['find flags/']);
  });

  it('the gather step drops keys outside of the path of the search if a store returns such keys', async () => {
    const { calls, run } = counting({}, ['flags/a', 'other/b', 'flags/']);
    expect(await run(wide)).toMatchObject({ kind: 'ready' });
    expect(calls).toEqual(['find flags/', 'read fixed', 'read flags/a']);
  });
});

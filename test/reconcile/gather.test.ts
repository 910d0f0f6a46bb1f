import { describe, expect, it } from 'vitest';
import type { Mapping } from '../../src/core/mapping.ts';
import { type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { type GatherDeps, gather } from '../../src/reconcile/gather.ts';
import { found, mapping, source } from '../sync/sample.ts';

const ID = { namespace: 'apps', secret: 'app' };

/** Counts what reaches the store. */
function counting(deps: Partial<GatherDeps>, keys: readonly string[] = []) {
  const calls: string[] = [];
  const all: GatherDeps = {
    async read(refs: readonly StoreRef[]) {
      calls.push(...refs.map(({ ref }) => `read ${ref.key}`));
      return new Map(refs.map((ref): [string, ReadResult] => [refId(ref), found('x')]));
    },
    async find(_, { path }) {
      calls.push(`find ${path}`);
      return keys;
    },
    allows: () => true,
    allowsSearch: () => true,
    ...deps,
  };
  return { calls, run: (it: Mapping) => gather(it, ID, async () => undefined, all) };
}

const wide = mapping({
  data: { fixed: source({ key: 'fixed' }) },
  dataFrom: [{ store: 'vault', find: { path: 'flags/', tags: {} } }],
});

describe('gathering', () => {
  it('asks with the mapping, the namespace and each key', async () => {
    const asked: unknown[] = [];
    const { run } = counting(
      {
        allows: (use) => asked.push(use) > 0,
        allowsSearch: (use) => asked.push(use) > 0,
      },
      ['flags/a'],
    );
    await run(wide);
    const who = { mapping: 'app', namespace: 'apps', store: 'vault' };
    expect(asked).toEqual([
      { ...who, key: 'fixed' },
      { ...who, path: 'flags/' },
      { ...who, key: 'flags/a' },
    ]);
  });

  it('reaches no store for a mapping one of whose sources is not allowed', async () => {
    const { calls, run } = counting({ allows: ({ key }) => key !== 'fixed' });
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', about: 'store vault, key fixed' },
    });
    expect(calls).toEqual([]);
  });

  it('reaches no store for a mapping one of whose searches is not allowed', async () => {
    const { calls, run } = counting({ allowsSearch: () => false });
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', about: 'store vault, search below flags/' },
    });
    expect(calls).toEqual([]);
  });

  it('reads nothing when a search finds what is not allowed', async () => {
    const { calls, run } = counting({ allows: ({ key }) => key !== 'flags/b' }, ['flags/a', 'flags/b']);
    expect(await run(wide)).toMatchObject({
      kind: 'failed',
      error: { code: 'NOT_ALLOWED', about: 'store vault, key flags/b' },
    });
    expect(calls).toEqual(['find flags/']);
  });

  it('keeps what a search found below its path only', async () => {
    const { calls, run } = counting({}, ['flags/a', 'other/b', 'flags/']);
    expect(await run(wide)).toMatchObject({ kind: 'ready' });
    expect(calls).toEqual(['find flags/', 'read fixed', 'read flags/a']);
  });
});

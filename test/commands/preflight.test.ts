import { describe, expect, it } from 'vitest';
import type { SecretMeta, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
import { preflight } from '../../src/commands/preflight.ts';
import { AppError } from '../../src/core/errors.ts';
import type { VersionResult } from '../../src/providers/provider.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { meta, STORES, wanted } from '../service/sample.ts';
import { source } from '../sync/sample.ts';

const COUNT = 30;

interface Scene {
  readonly count?: number;
  readonly scope?: 'namespace' | 'names';
  readonly kind?: string;
  /** Changes the metadata of some targets. The key is the number of the target. */
  readonly metas?: Readonly<Record<number, (desired: DesiredTarget) => SecretMeta | undefined>>;
  readonly versions?: Readonly<Record<string, VersionResult>>;
  readonly targets?: Readonly<Record<number, DesiredTarget>>;
  readonly denied?: string;
  readonly listFails?: boolean;
}

async function runPreflight(scene: Scene = {}, ages?: Parameters<typeof preflight>[3]) {
  const { count = COUNT, scope = 'namespace', kind = 'aws-secrets-manager' } = scene;
  const all = Array.from(
    { length: count },
    (_, n) => scene.targets?.[n] ?? wanted({ name: `app-${n}`, data: { KEY: source({ key: `k${n}` }) } }),
  );
  const metas = all.flatMap((target, n) => {
    const other = scene.metas?.[n];
    return (other === undefined ? meta(target, { KEY: [`k${n}`, '1'] }) : other(target)) ?? [];
  });
  const lookups: string[][] = [];
  let open = 0;
  const watch = (_: WatchScope, handlers: WatchHandlers): AsyncDisposable => {
    open += 1;
    queueMicrotask(() =>
      scene.listFails ? handlers.progress(new AppError('CLUSTER_FORBIDDEN')) : handlers.listed(metas),
    );
    return {
      async [Symbol.asyncDispose]() {
        open -= 1;
      },
    };
  };
  const config = {
    cluster: { kind: 'kubernetes', scope },
    stores: [{ name: 'vault', kind }],
  } as unknown as Parameters<typeof preflight>[0]['config'];
  const { inSync, isMissing } = await preflight(
    { config, cluster: { watch } },
    {
      instance: 'prod',
      stores: STORES,
      allows: ({ key }) => key !== scene.denied,
      async versions(_, keys) {
        lookups.push([...keys]);
        return keys.map((key) => scene.versions?.[key] ?? { kind: 'known', version: '1' });
      },
    },
    all,
    ages,
  );
  const omitted = all.filter((target) => !inSync.has(target)).map(({ mapping }) => mapping.name);
  const missing = all.filter(({ id }) => isMissing(id)).map(({ mapping }) => mapping.name);
  return { inSync, omitted, missing, lookups, open };
}

describe('preflight', () => {
  it('the preflight finds all unchanged targets with one list request and one version lookup', async () => {
    const { inSync, omitted, lookups, open } = await runPreflight();
    expect(omitted).toEqual([]);
    expect(lookups.map(({ length }) => length)).toEqual([COUNT]);
    expect([...inSync.values()][0]).toMatchObject({
      kind: 'unchanged',
      mapping: 'app-0',
      alive: true,
      keys: [{ name: 'KEY', action: 'keep' }],
    });
    expect(open).toBe(0);
  });

  it('the preflight records the age of each version that it looks up', async () => {
    const noted: unknown[] = [];
    const versions = {
      k3: { kind: 'known', version: '1', createdAt: 900 },
      k7: { kind: 'unknown' },
    } as const;
    await runPreflight(
      { versions },
      { note: (store, key, inSync) => void noted.push([store, key, inSync.createdAt]) },
    );
    expect(noted).toHaveLength(COUNT - 1);
    expect(noted).toContainEqual(['vault', 'k3', 900]);
  });

  it('the preflight omits targets with different or unknown versions', async () => {
    const versions = { k3: { kind: 'known', version: '2' }, k7: { kind: 'unknown' } } as const;
    expect((await runPreflight({ versions })).omitted).toEqual(['app-3', 'app-7']);
  });

  it('the preflight omits missing targets and targets of other owners', async () => {
    const metas = {
      2: () => undefined,
      4: (target: DesiredTarget) => meta(target, { KEY: ['k4', '1'] }, { foreign: true }),
    };
    const { omitted, missing } = await runPreflight({ metas });
    expect(omitted).toEqual(['app-2', 'app-4']);
    expect(missing).toEqual(['app-2']);
  });

  it('the preflight omits forbidden sources, named versions and merges', async () => {
    const targets = {
      1: wanted({ name: 'app-1', data: { KEY: source({ key: 'k1', version: '1' }) } }),
      5: wanted({ name: 'app-5', target: { mode: 'merge' }, data: { KEY: source({ key: 'k5' }) } }),
    };
    expect((await runPreflight({ targets, denied: 'k9' })).omitted).toEqual(['app-1', 'app-5', 'app-9']);
  });

  it('the preflight counts keys and not only targets', async () => {
    const keysOf = (n: number) => Array.from({ length: 10 }, (_, k) => `k${n}-${k}`);
    const targets = Array.from({ length: 10 }, (_, n) =>
      wanted({
        name: `app-${n}`,
        data: Object.fromEntries(keysOf(n).map((key, k) => [`K${k}`, source({ key })])),
      }),
    );
    const metas = targets.map(
      (_, n) => (target: DesiredTarget) =>
        meta(target, Object.fromEntries(keysOf(n).map((key, k) => [`K${k}`, [key, '1'] as const]))),
    );
    const { omitted, lookups } = await runPreflight({ count: 10, kind: 'azure-key-vault', targets, metas });
    expect(omitted).toEqual([]);
    expect(lookups.map(({ length }) => length)).toEqual([100]);
  });

  it('the preflight finds nothing if there are few targets, if the scope is `names`, or if no list of versions is available', async () => {
    for (const scene of [{ listFails: true }, { kind: 'vault' }, { scope: 'names' as const }, { count: 5 }]) {
      const { inSync, missing, lookups, open } = await runPreflight(scene);
      expect([inSync.size, missing.length, lookups.flat().length, open]).toEqual([0, 0, 0, 0]);
    }
  });
});

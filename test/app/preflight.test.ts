import { describe, expect, it } from 'vitest';
import { preflight } from '../../src/app/preflight.ts';
import type { SecretMeta, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
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
  /** What is not as `sample` leaves it, by the number of the target. */
  readonly metas?: Readonly<Record<number, (it: DesiredTarget) => SecretMeta | undefined>>;
  readonly versions?: Readonly<Record<string, VersionResult>>;
  readonly targets?: Readonly<Record<number, DesiredTarget>>;
  readonly denied?: string;
  readonly listFails?: boolean;
}

async function surveyed(scene: Scene = {}, ages?: Parameters<typeof preflight>[3]) {
  const { count = COUNT, scope = 'namespace', kind = 'aws-secrets-manager' } = scene;
  const all = Array.from(
    { length: count },
    (_, n) => scene.targets?.[n] ?? wanted({ name: `app-${n}`, data: { KEY: source({ key: `k${n}` }) } }),
  );
  const metas = all.flatMap((it, n) => {
    const other = scene.metas?.[n];
    return (other === undefined ? meta(it, { KEY: [`k${n}`, '1'] }) : other(it)) ?? [];
  });
  const asked: string[][] = [];
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
  const { inSync: told, isMissing } = await preflight(
    { config, cluster: { watch } },
    {
      instance: 'prod',
      stores: STORES,
      allows: ({ key }) => key !== scene.denied,
      async versions(_, keys) {
        asked.push([...keys]);
        return keys.map((key) => scene.versions?.[key] ?? { kind: 'known', version: '1' });
      },
    },
    all,
    ages,
  );
  const left = all.filter((it) => !told.has(it)).map(({ mapping }) => mapping.name);
  const missing = all.filter(({ id }) => isMissing(id)).map(({ mapping }) => mapping.name);
  return { told, left, missing, asked, open };
}

describe('a survey', () => {
  it('tells of what is in step by one list and one question of versions', async () => {
    const { told, left, asked, open } = await surveyed();
    expect(left).toEqual([]);
    expect(asked.map(({ length }) => length)).toEqual([COUNT]);
    expect([...told.values()][0]).toMatchObject({
      kind: 'unchanged',
      mapping: 'app-0',
      alive: true,
      keys: [{ name: 'KEY', action: 'keep' }],
    });
    expect(open).toBe(0);
  });

  it('notes when what it tells of was made', async () => {
    const noted: unknown[] = [];
    const versions = {
      k3: { kind: 'known', version: '1', createdAt: 900 },
      k7: { kind: 'unknown' },
    } as const;
    await surveyed(
      { versions },
      { note: (store, key, told) => void noted.push([store, key, told.createdAt]) },
    );
    expect(noted).toHaveLength(COUNT - 1);
    expect(noted).toContainEqual(['vault', 'k3', 900]);
  });

  it('leaves what has another version, and what the store does not tell of', async () => {
    const versions = { k3: { kind: 'known', version: '2' }, k7: { kind: 'unknown' } } as const;
    expect((await surveyed({ versions })).left).toEqual(['app-3', 'app-7']);
  });

  it('leaves what is not there, and what somebody else wrote', async () => {
    const metas = {
      2: () => undefined,
      4: (it: DesiredTarget) => meta(it, { KEY: ['k4', '1'] }, { foreign: true }),
    };
    const { left, missing } = await surveyed({ metas });
    expect(left).toEqual(['app-2', 'app-4']);
    expect(missing).toEqual(['app-2']);
  });

  it('leaves what was not allowed, what names a version and what merges', async () => {
    const targets = {
      1: wanted({ name: 'app-1', data: { KEY: source({ key: 'k1', version: '1' }) } }),
      5: wanted({ name: 'app-5', target: { mode: 'merge' }, data: { KEY: source({ key: 'k5' }) } }),
    };
    expect((await surveyed({ targets, denied: 'k9' })).left).toEqual(['app-1', 'app-5', 'app-9']);
  });

  it('tells nothing where it may not list, where lists tell no versions, where names limit the rights, and of a few', async () => {
    for (const scene of [{ listFails: true }, { kind: 'vault' }, { scope: 'names' as const }, { count: 5 }]) {
      const { told, missing, asked, open } = await surveyed(scene);
      expect([told.size, missing.length, asked.flat().length, open]).toEqual([0, 0, 0, 0]);
    }
  });
});

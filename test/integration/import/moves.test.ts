import { describe, expect, it } from 'vitest';
import type { Raw } from '../e2e/bench.ts';
import { kubernetes } from '../services/inject.ts';
import { CONFIG, openMigration, secretsPath } from './migration.ts';
import { move } from './move.ts';
import { WALKS } from './walks.ts';

describe.each(WALKS.map((walk) => [walk.tool.name, walk] as const))('a migration from %s', (_, walk) => {
  it('adopts every Secret without a change, and keeps each Secret when its owner is deleted', async () => {
    await using migration = await openMigration(kubernetes(), walk.tool.api);
    const { namespace, get, run } = migration;
    const { request } = kubernetes();
    const { secrets, owners } = await walk.arrange(migration);
    await move(migration, walk, secrets);
    const before = await get<{ items: readonly Raw[] }>(secretsPath(namespace));
    for (const path of owners) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      await request('PATCH', path, { metadata: { finalizers: null } }, headers);
      await request('DELETE', path);
    }
    expect((await get<{ items: readonly Raw[] }>(secretsPath(namespace))).items).toEqual(before.items);
    expect(await run('plan', ...CONFIG)).toMatchObject({ code: 0 });
  });
});

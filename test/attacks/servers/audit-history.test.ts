import { describe, expect, it } from 'vitest';
import { NO_KEYS } from '../../../src/audit/entry.ts';
import type { World } from '../../integration/service/world.ts';
import { checkpointsOf, DATABASES, expectPassword, openAttacked, succeed, verification } from './scene.ts';

/** Removes all records up to the last checkpoint, and makes this the start of the log. */
async function cutTheStart(world: World): Promise<void> {
  const lines = (await checkpointsOf(world)).trim().split('\n');
  const { sequence, hash } = JSON.parse(lines.at(-1) ?? '');
  await world.forge([
    {
      ...{ actor: { kind: 'schedule' }, requestId: 'forged', action: 'sweep', outcome: 'ok', sources: [] },
      ...{
        keys: NO_KEYS,
        counts: { records: sequence, first: 1, last: sequence },
        durationMs: 0,
        attempt: 1,
      },
      note: `retention: pruned records 1 to ${sequence}, hash of the last ${hash}`,
    },
  ]);
  // The next checkpoint signs the forged record.
  await succeed(world, 'sync');
  for (const table of ['records', 'record_sources', 'record_fingerprints', 'record_reviews'])
    await world.sql(`delete from ${table} where sequence <= ${sequence}`);
  await world.sql(`update base set sequence = ${sequence}, hash = '${hash}'`);
}

describe.each(DATABASES)('the history in %s', (database) => {
  it('cannot be cut with a forged retention record: verification reports it, and changes stop', async () => {
    await using world = await openAttacked(database);
    expect(await verification(world)).toMatchObject({ code: 0, report: { ok: true, covered: true } });
    await cutTheStart(world);
    const problem = { kind: 'deleted', sequence: 1 };
    expect(await verification(world)).toMatchObject({ code: 4, report: { ok: false, problem } });

    await world.vault.put('db', { password: 'third' });
    const sync = await world.cli('sync');
    expect([sync.code, sync.stderr]).toEqual([4, expect.stringContaining('AUDIT_TRUNCATED')]);
    await expectPassword(world, 'second');

    await succeed(world, 'audit', 'accept');
    await succeed(world, 'sync');
    await expectPassword(world, 'third');
  });
});

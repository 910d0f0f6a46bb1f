import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { World } from '../../integration/service/world.ts';
import { openWorld } from '../../integration/service/world.ts';
import { DATABASES, openAttacked, succeed, verification } from './scene.ts';

const WARNING = { code: 'CHECKPOINTS_MISSING' };

async function warningsOf(world: World, command: string): Promise<unknown> {
  const { stdout } = await world.cli(command, '--output', 'json');
  return JSON.parse(stdout).warnings;
}

describe.each(DATABASES)('checkpoints of an audit in %s', (database) => {
  it('exist by default, and `audit verify` tells a covered log from others by its exit code', async () => {
    await using world = await openAttacked(database);
    expect(await warningsOf(world, 'validate')).toBeUndefined();
    expect(await verification(world)).toMatchObject({ code: 0, report: { ok: true, covered: true } });

    await rm(join(world.folder, 'state/checkpoints.jsonl'));
    expect(await verification(world)).toMatchObject({ code: 2, report: { ok: true, covered: false } });

    await world.sql(`delete from records where sequence = 2`);
    const problem = { kind: 'deleted', sequence: 2 };
    expect(await verification(world)).toMatchObject({ code: 4, report: { ok: false, problem } });
  });
});

it('without checkpoints, `validate`, `doctor`, `status` and the log of the service warn', async () => {
  await using world = await openWorld({
    config: ({ prefix, ns }) =>
      `mappings: [ { name: db, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/db, property: a } } } ]\n`,
    postgres: true,
  });
  await world.vault.put('db', { a: 'b' });
  expect(await warningsOf(world, 'validate')).toMatchObject([WARNING]);
  expect(await warningsOf(world, 'doctor')).toMatchObject([WARNING]);
  await using served = await world.serve();
  expect(await served.status()).toMatchObject({ audit: { state: 'up' }, warnings: [WARNING] });
  expect(served.logged()).toContainEqual(expect.objectContaining({ level: 'warn', ...WARNING }));
  const { stdout } = await world.cli('status', '--server', served.address);
  expect(stdout).toMatch(/degraded\s+audit\s+postgres\s+CHECKPOINTS_MISSING/);
  await served.stop();
  await succeed(world, 'sync');
  expect(await verification(world)).toMatchObject({ code: 2, report: { ok: true, covered: false } });
});

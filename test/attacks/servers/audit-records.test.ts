import { describe, expect, it } from 'vitest';
import { createWorkload } from '../../integration/service/workloads.ts';
import type { World } from '../../integration/service/world.ts';
import {
  DATABASES,
  entryOf,
  expectPassword,
  firstVersion,
  MAPPING,
  openAttacked,
  rollbackEntry,
  succeed,
  verification,
} from './scene.ts';

/** Returns the id of the key that signs records, which everybody who reads the audit knows. */
async function keyIdOf(world: World): Promise<string> {
  return (await world.records())[0]?.hmac?.slice(0, 8) ?? expect.fail();
}

describe.each(DATABASES)('records in %s without the right HMAC', (database) => {
  it.each(['without an HMAC', 'with a wrong HMAC', 'with a key that is not known'])(
    'a forged rollback %s does not move the Secret back, and a real one still does',
    async (how) => {
      await using world = await openAttacked(database);
      const keyId = how.endsWith('known') ? '0badcafe' : await keyIdOf(world);
      const sign = how.startsWith('without') ? undefined : () => `${keyId}:${'a'.repeat(64)}`;
      const [forged] = await world.forge([await rollbackEntry(world)], sign);
      await succeed(world, 'sync');
      await expectPassword(world, 'second');
      expect(await verification(world)).toMatchObject(
        how.endsWith('known')
          ? { code: 0, report: { ok: true, unverifiable: 1 } }
          : { code: 4, report: { problem: { kind: 'edited', sequence: forged?.sequence } } },
      );
      await succeed(world, 'rollback', 'db', '--to', String(await firstVersion(world)));
      await expectPassword(world, 'first');
      // A forged `unpin` does not end the real pin.
      await world.forge([entryOf(world, { action: 'unpin' })], sign);
      await world.vault.put('db', { password: 'third' });
      await succeed(world, 'sync');
      await expectPassword(world, 'first');
    },
  );

  it('a rollback to a forged record is refused', async () => {
    await using world = await openAttacked(database);
    const { sources, ...entry } = await rollbackEntry(world);
    const [forged] = await world.forge([{ ...entry, action: 'update', phase: 'outcome', sources }]);
    const { code, stderr } = await world.cli('rollback', 'db', '--to', String(forged?.sequence));
    expect([code, stderr]).toEqual([4, expect.stringContaining('AUDIT_ALTERED')]);
    await expectPassword(world, 'second');
  });

  it.each([
    ['removed', (n: number) => [`delete from records where sequence = ${n}`]],
    [
      'hidden from searches',
      (n: number) => [
        `update records set action = 'sweep', secret = null, mapping = null where sequence = ${n}`,
      ],
    ],
    [
      'turned into another record',
      (n: number) => [
        `update records set record = replace(record, '"action":"unpin"', '"action":"sweep"') where sequence = ${n}`,
      ],
    ],
  ])('an `unpin` that was %s does not bring the old rollback back', async (_, statements) => {
    await using world = await openAttacked(database);
    await succeed(world, 'rollback', 'db', '--to', String(await firstVersion(world)));
    await succeed(world, 'unpin', 'db');
    await expectPassword(world, 'second');
    const unpin = (await world.records()).findLast(({ action }) => action === 'unpin');
    for (const statement of statements(unpin?.sequence ?? 0)) await world.sql(statement);
    await world.cli('sync');
    await expectPassword(world, 'second');
    expect((await verification(world)).code).toBe(4);
  });

  it('an `unpin` at the end of the log cannot be cut off', async () => {
    await using world = await openAttacked(database);
    await succeed(world, 'rollback', 'db', '--to', String(await firstVersion(world)));
    const { length } = await world.records();
    await succeed(world, 'unpin', 'db');
    for (const table of ['records', 'record_sources', 'record_fingerprints', 'open_intents'])
      await world.sql(`delete from ${table} where sequence > ${length}`);
    await world.sql(
      `update head set sequence = ${length}, hash = (select hash from records where sequence = ${length})`,
    );
    const sync = await world.cli('sync');
    expect([sync.code, sync.stderr]).toEqual([4, expect.stringContaining('AUDIT_TRUNCATED')]);
    await expectPassword(world, 'second');
  });

  it('a forged pending restart restarts no workload', async () => {
    await using world = await openAttacked(database);
    const one = await createWorkload(world, 'Deployment', 'one');
    await world.configure({
      config: (at) => `${MAPPING(at)}    restart: [ { kind: Deployment, name: one } ]\n`,
    });
    await world.grant();
    const fingerprint = `${await keyIdOf(world)}:${'b'.repeat(64)}`;
    const restart = { action: 'restart', phase: 'intent', attempt: 1, note: 'Deployment/one' } as const;
    await world.forge([entryOf(world, { ...restart, after: fingerprint })]);
    await succeed(world, 'sync');
    expect(await one.rolls()).toBe(0);
  });

  it('forged readings do not prove an absence', async () => {
    await using world = await openAttacked(database);
    await world.configure({
      config: ({ prefix, ns }) => `absence: { readings: 3, over: 10m }
mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    onSourceMissing: delete
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
  - { name: other, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/other, property: a } } }
`,
    });
    await world.vault.put('other', { a: 'b' });
    await world.grant();
    await succeed(world, 'sync');
    await world.vault.remove('db');
    await world.cli('sync');
    const reading = (await world.records()).findLast(({ code }) => code === 'SOURCE_ABSENT') ?? expect.fail();
    const { sequence: _, time: __, previousHash: ___, hmac: ____, hash: _____, ...entry } = reading;
    await world.forge(Array.from({ length: 5 }, () => entry));
    await world.sql(`update records set time = '2026-01-01T00:00:00.000Z' where action = 'read'`);
    await world.cli('sync');
    await expectPassword(world, 'second');
  });
});

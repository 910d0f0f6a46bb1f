import { generateKeyPairSync } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { GENESIS } from '../../src/audit/chain.ts';
import { createSigner } from '../../src/audit/checkpoint/signing.ts';
import { AppError } from '../../src/core/errors.ts';
import { days, expectWhole, openScene, signer } from './retention-scene.ts';
import { entry } from './sample.ts';

describe('old records', () => {
  it('leave up to the newest checkpoint that is old enough, and the chain says so', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    const head = await scene.store.head();
    expect(await scene.retention({ archive: undefined }).run()).toEqual({
      kind: 'left',
      from: 1,
      to: 20,
      segments: 1,
    });
    const base = await scene.store.base();
    expect(base.sequence).toBe(20);
    const [first] = await scene.store.list({}, { limit: 1, after: 0 });
    expect(first).toMatchObject({ sequence: 21, previousHash: base.hash });
    const said = await scene.store.get(head.sequence + 1);
    expect(said).toMatchObject({
      actor: { kind: 'schedule' },
      action: 'sweep',
      outcome: 'ok',
      counts: { records: 20, first: 1, last: 20 },
      note: expect.stringContaining(`records 1 to 20 leave, the last with the hash ${base.hash}`),
    });
    expect(await scene.prove()).toMatchObject({ ok: true, from: 21, cutProved: true });
    // What says so was signed before they left.
    expect((await scene.evidence()).checkpoints.at(-1)?.sequence).toBe(said?.sequence);
  });

  it('leave together once a day, and the young ones never', async () => {
    await using scene = await openScene();
    await days(scene, 0, 10);
    const retention = scene.retention({ archive: undefined });
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    await days(scene, 11, 11);
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    await days(scene, 12, 12);
    expect(await retention.run()).toMatchObject({ kind: 'left', to: 4 });
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    expect(await scene.store.targets()).toHaveLength(1);
  });

  it('stay where there are none, and in an empty log', async () => {
    await using scene = await openScene();
    expect(await scene.retention().run()).toEqual({ kind: 'nothing' });
    await scene.retention().tidy();
    expect(await scene.archived()).toEqual([]);
  });

  it('leave together with all others after a long silence, but for what says so', async () => {
    await using scene = await openScene();
    const last = await scene.append(0, 50);
    // The time is that of the last record: a clock that jumps ahead makes nothing old.
    scene.day = 400;
    expect(await scene.retention().run()).toEqual({ kind: 'nothing' });
    await scene.append(400, 1);
    expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: last });
    expect(await scene.store.list({}, { limit: 9 })).toHaveLength(2);
    expect(await scene.prove()).toMatchObject({ ok: true });
  });

  it('stay where a younger one comes before them: a clock was set back', async () => {
    await using scene = await openScene();
    const last = await scene.append(0);
    await scene.append(15);
    await scene.append(1);
    await scene.append(20);
    expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: last });
  });

  it('leave in segments of a size that can be handled, where the checkpoints allow it', async () => {
    await using scene = await openScene();
    await days(scene, 0, 5);
    const big = await scene.append(6, 40);
    await days(scene, 7, 20);
    const retention = scene.retention({ segmentRecords: 5 });
    expect(await retention.run({ most: 1 })).toMatchObject({ to: 4, segments: 1 });
    expect(await retention.run()).toMatchObject({ kind: 'left', from: 5, segments: 5 });
    expect(await scene.archived()).toEqual([
      'audit-1-4.jsonl',
      'audit-5-8.jsonl',
      'audit-9-12.jsonl',
      `audit-13-${big}.jsonl`,
      `audit-${big + 1}-${big + 4}.jsonl`,
      `audit-${big + 5}-${big + 6}.jsonl`,
    ]);
    await expectWhole(scene);
  });
});

describe('what does not prove', () => {
  it('that nothing leaves without a checkpoint of ours', async () => {
    await using scene = await openScene();
    scene.day = 0;
    await scene.store.append([entry(), entry(), entry()]);
    const stranger = createSigner(generateKeyPairSync('ed25519').privateKey);
    const [record] = await scene.store.list({}, { limit: 1, before: 3 });
    const { sequence, hash, time } = record ?? expect.fail();
    const unsigned = { sequence, hash, time, instance: 'test' };
    await scene.addCheckpoint(stranger.sign(unsigned));
    await scene.addCheckpoint({ ...signer.sign(unsigned), hash: 'f'.repeat(64) });
    await scene.addCheckpoint(signer.sign({ ...unsigned, hash: 'e'.repeat(64) }));
    await scene.append(20);
    expect(await scene.retention().run()).toEqual({ kind: 'unsealed', until: 3 });
    expect(await scene.store.base()).toEqual(GENESIS);
    await scene.addCheckpoint(signer.sign(unsigned));
    expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: 2 });
  });

  it.each([
    ['an edited text', `update records set record = replace(record, 'ann', 'bob') where sequence = 3`],
    ['an edited column', `update records set mapping = 'other' where sequence = 3`],
    ['a missing record', 'delete from records where sequence = 3'],
  ])('%s stays where it is, for whoever looks into it', async (_, sql) => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    scene.sql(sql);
    expect(await scene.retention().run()).toMatchObject({ kind: 'altered', sequence: 3 });
    expect(await scene.retention({ archive: undefined }).run()).toMatchObject({ kind: 'altered' });
    expect(await scene.store.base()).toEqual(GENESIS);
    expect(await readdir(scene.archive.path)).toEqual([]);
  });

  it('nothing leaves while the audit is in doubt', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    const doubt = new AppError('AUDIT_TRUNCATED');
    const checkpoints = { ...scene.checkpointer, trouble: () => doubt };
    expect(await scene.retention({ checkpoints }).run()).toEqual({ kind: 'doubt' });
  });

  it('a loss that shows as the cut is signed keeps the records', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    let doubt: AppError | undefined;
    const checkpoints = {
      ...scene.checkpointer,
      trouble: () => doubt,
      write: async () => {
        doubt = new AppError('AUDIT_TRUNCATED');
      },
    };
    await expect(scene.retention({ checkpoints }).run()).rejects.toMatchObject({ code: 'AUDIT_TRUNCATED' });
    expect(await scene.store.base()).toEqual(GENESIS);
  });

  it('the oldest records, taken away by somebody else, are found as deleted', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    await scene.retention().run();
    // At a record that no checkpoint is of, with a base that fits.
    scene.sql(`update base set sequence = 25, hash = (select hash from records where sequence = 25);
      delete from records where sequence <= 25; delete from facets where sequence <= 25;
      delete from record_sources where sequence <= 25`);
    expect(await scene.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 1 } });
  });

  it('records that are missing behind the base are found, whatever left before', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    await scene.retention().run();
    scene.sql('delete from records where sequence = 21');
    expect(await scene.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 21 } });
  });
});

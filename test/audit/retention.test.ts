import { generateKeyPairSync } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { GENESIS } from '../../src/audit/chain.ts';
import { createSigner } from '../../src/audit/checkpoint/signing.ts';
import { AppError } from '../../src/core/errors.ts';
import { days, expectWhole, openScene, signer } from './retention-scene.ts';
import { entry } from './sample.ts';

describe('retention', () => {
  it('prunes up to the newest checkpoint that is old enough, and records it in the chain', async () => {
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
      note: expect.stringContaining(`pruned records 1 to 20, hash of the last ${base.hash}`),
    });
    expect(await scene.prove()).toMatchObject({ ok: true, from: 21, cutProved: true });
    // The record of the pruning was signed before the pruning.
    expect((await scene.evidence()).checkpoints.at(-1)?.sequence).toBe(said?.sequence);
  });

  it('prunes once a day and never prunes young records', async () => {
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

  it('prunes nothing without old records, and nothing in an empty log', async () => {
    await using scene = await openScene();
    expect(await scene.retention().run()).toEqual({ kind: 'nothing' });
    await scene.retention().tidy();
    expect(await scene.archived()).toEqual([]);
  });

  it('prunes all old records after a long silence, except the record of the pruning', async () => {
    await using scene = await openScene();
    const last = await scene.append(0, 50);
    // Time ends at the last record: a clock that jumps ahead makes no record old.
    scene.day = 400;
    expect(await scene.retention().run()).toEqual({ kind: 'nothing' });
    await scene.append(400, 1);
    expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: last });
    expect(await scene.store.list({}, { limit: 9 })).toHaveLength(2);
    expect(await scene.prove()).toMatchObject({ ok: true });
  });

  it('keeps an old record after a younger one, when the clock was set back', async () => {
    await using scene = await openScene();
    const last = await scene.append(0);
    await scene.append(15);
    await scene.append(1);
    await scene.append(20);
    expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: last });
  });

  it('prunes in segments of limited size if the checkpoints allow it', async () => {
    await using scene = await openScene();
    await days(scene, 0, 5);
    const big = await scene.append(6, 40);
    await days(scene, 7, 20);
    const retention = scene.retention({ segmentRecords: 5 });
    expect(await retention.run({ maxSegments: 1 })).toMatchObject({ to: 4, segments: 1 });
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

describe('retention without proof', () => {
  it('prunes nothing without a trusted checkpoint', async () => {
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
  ])('%s stops the pruning and stays for investigation', async (_, sql) => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    scene.sql(sql);
    expect(await scene.retention().run()).toMatchObject({ kind: 'altered', sequence: 3 });
    expect(await scene.retention({ archive: undefined }).run()).toMatchObject({ kind: 'altered' });
    expect(await scene.store.base()).toEqual(GENESIS);
    expect(await readdir(scene.archive.path)).toEqual([]);
  });

  it('prunes nothing while the store is not trusted', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    const doubt = new AppError('AUDIT_TRUNCATED');
    const checkpoints = { ...scene.checkpointer, trouble: () => doubt };
    expect(await scene.retention({ checkpoints }).run()).toEqual({ kind: 'doubt' });
  });

  it('keeps the records if a loss is detected while the pruning is signed', async () => {
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

  it('deleting the oldest records without retention is reported as deleted', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    await scene.retention().run();
    // The cut is at a record without a checkpoint, with a matching base.
    scene.sql(`update base set sequence = 25, hash = (select hash from records where sequence = 25);
      delete from records where sequence <= 25; delete from facets where sequence <= 25;
      delete from record_sources where sequence <= 25`);
    expect(await scene.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 1 } });
  });

  it('records missing after the base are reported, regardless of earlier pruning', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    await scene.retention().run();
    scene.sql('delete from records where sequence = 21');
    expect(await scene.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 21 } });
  });
});

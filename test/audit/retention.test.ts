import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GENESIS } from '../../src/audit/chain.ts';
import { createSigner } from '../../src/audit/checkpoint/signing.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { AppError } from '../../src/core/errors.ts';
import { Crash, crashAt } from '../fakes/faulty.ts';
import { appendDays, expectWhole, openRetention, proveArchive, signer } from './retention-fixture.ts';
import { entry } from './sample.ts';

describe('retention', () => {
  it('retention prunes up to the newest checkpoint that is old enough, and records each prune in the chain', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    const head = await fixture.store.head();
    expect(await fixture.retention({ archive: undefined }).run()).toEqual({
      kind: 'pruned',
      from: 1,
      to: 20,
      segments: 1,
    });
    const base = await fixture.store.base();
    expect(base.sequence).toBe(20);
    const [first] = await fixture.store.list({}, { limit: 1, after: 0 });
    expect(first).toMatchObject({ sequence: 21, previousHash: base.hash });
    const pruneRecord = await fixture.store.get(head.sequence + 1);
    expect(pruneRecord).toMatchObject({
      actor: { kind: 'schedule' },
      action: 'sweep',
      outcome: 'ok',
      counts: { records: 20, first: 1, last: 20 },
      note: expect.stringContaining(`pruned records 1 to 20, hash of the last ${base.hash}`),
    });
    expect(await fixture.prove()).toMatchObject({ ok: true, from: 21, cutProved: true });
    // The record of the pruning was covered by a checkpoint before any record was deleted.
    expect((await fixture.evidence()).checkpoints.at(-1)?.sequence).toBe(pruneRecord?.sequence);
  });

  it('retention prunes at most once a day, and never prunes young records', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 10);
    const retention = fixture.retention({ archive: undefined });
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    await appendDays(fixture, 11, 11);
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    await appendDays(fixture, 12, 12);
    expect(await retention.run()).toMatchObject({ kind: 'pruned', to: 4 });
    expect(await retention.run()).toEqual({ kind: 'nothing' });
    expect(await fixture.store.targets()).toHaveLength(1);
  });

  it('retention prunes nothing if there are no old records, or if the log is empty', async () => {
    await using fixture = await openRetention();
    expect(await fixture.retention().run()).toEqual({ kind: 'nothing' });
    await fixture.retention().tidy();
    expect(await fixture.archived()).toEqual([]);
  });

  it('retention prunes all old records after a long time without records, but keeps the record of the prune', async () => {
    await using fixture = await openRetention();
    const last = await fixture.append(0, 50);
    // The age of a record is relative to the last record, so no record becomes old if the clock jumps ahead.
    fixture.day = 400;
    expect(await fixture.retention().run()).toEqual({ kind: 'nothing' });
    await fixture.append(400, 1);
    expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned', to: last });
    expect(await fixture.store.list({}, { limit: 9 })).toHaveLength(2);
    expect(await fixture.prove()).toMatchObject({ ok: true });
  });

  it('retention keeps an old record if a younger record precedes it, which happens after the clock was set back', async () => {
    await using fixture = await openRetention();
    const last = await fixture.append(0);
    await fixture.append(15);
    await fixture.append(1);
    await fixture.append(20);
    expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned', to: last });
  });

  it('retention prunes in segments of limited size if checkpoints exist at suitable records', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 5);
    const big = await fixture.append(6, 40);
    await appendDays(fixture, 7, 20);
    const retention = fixture.retention({ segmentRecords: 5 });
    expect(await retention.run({ maxSegments: 1 })).toMatchObject({ to: 4, segments: 1 });
    expect(await retention.run()).toMatchObject({ kind: 'pruned', from: 5, segments: 5 });
    expect(await fixture.archived()).toEqual([
      'audit-1-4.jsonl',
      'audit-5-8.jsonl',
      'audit-9-12.jsonl',
      `audit-13-${big}.jsonl`,
      `audit-${big + 1}-${big + 4}.jsonl`,
      `audit-${big + 5}-${big + 6}.jsonl`,
    ]);
    await expectWhole(fixture);
  });
});

describe('retention with an invalid chain or checkpoint', () => {
  it('retention prunes nothing without a trusted checkpoint', async () => {
    await using fixture = await openRetention();
    fixture.day = 0;
    await fixture.store.append([entry(), entry(), entry()]);
    const stranger = createSigner(generateKeyPairSync('ed25519').privateKey);
    const [record] = await fixture.store.list({}, { limit: 1, before: 3 });
    const { sequence, hash, time } = record ?? expect.fail();
    const unsigned = { sequence, hash, time, instance: 'test' };
    await fixture.addCheckpoint(stranger.sign(unsigned));
    await fixture.addCheckpoint({ ...signer.sign(unsigned), hash: 'f'.repeat(64) });
    await fixture.addCheckpoint(signer.sign({ ...unsigned, hash: 'e'.repeat(64) }));
    await fixture.append(20);
    expect(await fixture.retention().run()).toEqual({ kind: 'unsealed', until: 3 });
    expect(await fixture.store.base()).toEqual(GENESIS);
    await fixture.addCheckpoint(signer.sign(unsigned));
    expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned', to: 2 });
  });

  it.each([
    ['an edited text', `update records set record = replace(record, 'ann', 'bob') where sequence = 3`],
    ['an edited column', `update records set mapping = 'other' where sequence = 3`],
    ['a missing record', 'delete from records where sequence = 3'],
  ])('retention prunes nothing because of %s', async (_, sql) => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    fixture.sql(sql);
    expect(await fixture.retention().run()).toMatchObject({ kind: 'brokenChain', sequence: 3 });
    expect(await fixture.retention({ archive: undefined }).run()).toMatchObject({ kind: 'brokenChain' });
    expect(await fixture.store.base()).toEqual(GENESIS);
    expect(await readdir(fixture.archive.path)).toEqual([]);
  });

  it('retention prunes nothing while the store is not trusted', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    const storeError = new AppError('AUDIT_TRUNCATED');
    const checkpoints = { ...fixture.checkpointer, storeError: () => storeError };
    expect(await fixture.retention({ checkpoints }).run()).toEqual({ kind: 'suspended' });
  });

  it('retention keeps the records if a loss is detected while the checkpoint of the prune is signed', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    let storeError: AppError | undefined;
    const checkpoints = {
      ...fixture.checkpointer,
      storeError: () => storeError,
      write: async () => {
        storeError = new AppError('AUDIT_TRUNCATED');
      },
    };
    await expect(fixture.retention({ checkpoints }).run()).rejects.toMatchObject({ code: 'AUDIT_TRUNCATED' });
    expect(await fixture.store.base()).toEqual(GENESIS);
  });

  it('verification fails if records were deleted by something other than retention', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    await fixture.retention().run();
    // Deletes the records 1 to 25, and changes the base to match. Retention would not prune up to record 25, because
    // record 25 has no checkpoint.
    fixture.sql(`update base set sequence = 25, hash = (select hash from records where sequence = 25);
      delete from records where sequence <= 25; delete from record_reviews where sequence <= 25;
      delete from record_sources where sequence <= 25`);
    expect(await fixture.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 1 } });
  });

  it('verification fails if the oldest records are missing, whether or not retention has pruned other records before', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    await fixture.retention().run();
    fixture.sql('delete from records where sequence = 21');
    expect(await fixture.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 21 } });
  });
});

describe('retention after a crash', () => {
  it('retention loses no record if a crash interrupts any step, and completes the segment in the next run', async () => {
    let crashes = 0;
    for (let step = 1; ; step += 1) {
      await using fixture = await openRetention({ inMemory: true });
      await appendDays(fixture, 0, 4);
      await fixture.append(14, 1);
      const plan = crashAt(step);
      const running = fixture.retention({ watch: plan.watch, segmentRecords: 4 }).run();
      const crashed = await running.then(
        () => false,
        (error: unknown) => {
          if (!(error instanceof Crash)) throw error;
          return true;
        },
      );
      await expectWhole(fixture);
      expect(await fixture.prove()).toMatchObject({ ok: true });
      // More records have become old since the crash. The archives of these records must not overlap with archives from
      // before the crash.
      await fixture.append(16, 1);
      const retention = fixture.retention();
      await retention.tidy();
      await retention.run();
      await retention.run();
      await expectWhole(fixture);
      expect(await fixture.prove()).toMatchObject({ ok: true, cutProved: true });
      let next = 1;
      for (const name of await fixture.archived()) {
        const [, from, to] = /^audit-(\d+)-(\d+)\.jsonl$/.exec(name) ?? [];
        expect(Number(from)).toBe(next);
        next = Number(to) + 1;
      }
      expect((await fixture.store.base()).sequence).toBe(next - 1);
      if (!crashed) break;
      crashes += 1;
    }
    expect(crashes).toBeGreaterThan(15);
  });

  it('retention replaces an incomplete archive file in the next run after a crash', async () => {
    const halves: readonly (readonly [name: string, text: string])[] = [
      ['audit-1-8.jsonl.part', '{"half'],
      ['audit-1-8.checkpoint.part', '{"half'],
      ['audit-1-8.checkpoint', '{"half'],
    ];
    for (let many = 1; many <= halves.length; many += 1) {
      await using fixture = await openRetention();
      await appendDays(fixture, 0, 4);
      await fixture.append(14, 1);
      await mkdir(fixture.archive.path);
      for (const [name, text] of halves.slice(0, many))
        await writeFile(join(fixture.archive.path, name), text);
      expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned', to: 8 });
      expect((await readdir(fixture.archive.path)).toSorted()).not.toContain('audit-1-8.jsonl.part');
      expect(await proveArchive(fixture.archive.path, 'audit-1-8.jsonl')).toMatchObject({ ok: true });
      await expectWhole(fixture);
    }
  });

  it('retention prunes in only one of two concurrent runs', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    const done = await Promise.all([fixture.retention().run(), fixture.retention().run()]);
    expect(done.map(({ kind }) => kind).toSorted()).toEqual(['nothing', 'pruned']);
    await expectWhole(fixture);
    expect(
      await verify(fixture.store.storedRecords(21), { after: await fixture.store.base() }),
    ).toMatchObject({
      kind: 'intact',
    });
  });
});

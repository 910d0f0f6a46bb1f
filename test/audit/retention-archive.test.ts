import { mkdir, readdir, readFile, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GENESIS } from '../../src/audit/chain.ts';
import { createArchive } from '../../src/audit/retention/archive.ts';
import { AppError } from '../../src/core/errors.ts';
import { temporaryFolder } from './folder.ts';
import { appendDays, expectWhole, openRetention, proveArchive, signer } from './retention-fixture.ts';

describe('retention archive', () => {
  it('a retention archive contains the pruned records in the format of an export, with a checkpoint for each segment', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    const before = await fixture.joined();
    await fixture.retention().run();
    const path = fixture.archive.path;
    expect((await readdir(path)).toSorted()).toEqual(['audit-1-20.checkpoint', 'audit-1-20.jsonl']);
    const text = await readFile(join(path, 'audit-1-20.jsonl'), 'utf8');
    expect(before.startsWith(text)).toBe(true);
    expect(text.split('\n')).toHaveLength(21);
    for (const name of await readdir(path)) expect((await stat(join(path, name))).mode & 0o777).toBe(0o600);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(await proveArchive(path, 'audit-1-20.jsonl')).toMatchObject({
      ok: true,
      records: 20,
      checkpoints: 1,
    });
    const pruneRecords = await fixture.store.list({ action: 'export' }, { limit: 1 });
    expect(pruneRecords[0]?.note).toMatch(/, archived in audit-1-20\.jsonl$/);
  });

  it('a retention archive starts each segment where the previous segment ended, and forms one chain with the store', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 15);
    await fixture.retention().run();
    await appendDays(fixture, 16, 25);
    await fixture.retention().run();
    await expectWhole(fixture);
    const path = fixture.archive.path;
    for (const name of await fixture.archived())
      expect(await proveArchive(path, name)).toMatchObject({ ok: true });
    expect(await fixture.archived()).toHaveLength(2);
    const base = await fixture.store.base();
    expect((await fixture.archived()).at(-1)).toMatch(new RegExp(`-${base.sequence}\\.jsonl$`));
  });

  it('a retention archive contains checkpoints that reveal an edit of a segment', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    await fixture.retention().run();
    const path = join(fixture.archive.path, 'audit-1-20.jsonl');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('ann', 'bob'));
    expect(await proveArchive(fixture.archive.path, 'audit-1-20.jsonl')).toMatchObject({
      ok: false,
      problem: { kind: 'edited', sequence: 1 },
    });
    await writeFile(path, text.split('\n').slice(0, 10).join('\n'));
    expect(await proveArchive(fixture.archive.path, 'audit-1-20.jsonl')).toMatchObject({
      ok: false,
      problem: { kind: 'truncated', sequence: 11 },
    });
  });

  it('a retention archive of another store is not overwritten, and no record is pruned in that case', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    await mkdir(fixture.archive.path);
    const path = join(fixture.archive.path, 'audit-1-20.jsonl');
    await writeFile(path, 'theirs\n');
    await expect(fixture.retention().run()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringContaining('each store needs its own folder'),
    });
    expect(await readFile(path, 'utf8')).toBe('theirs\n');
    expect(await readdir(fixture.archive.path)).toEqual(['audit-1-20.jsonl']);
    expect(await fixture.store.base()).toEqual(GENESIS);
  });

  it('a retention archive that cannot be written leaves the records in the store', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    await writeFile(fixture.archive.path, 'a file');
    await expect(fixture.retention().run()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringContaining(`archive ${fixture.archive.path}`),
    });
    expect(await fixture.store.base()).toEqual(GENESIS);
    expect(await fixture.store.list({ action: 'export' }, { limit: 1 })).toEqual([]);
  });

  it('a retention archive is not written through a symbolic link at the path of its temporary file', async () => {
    await using fixture = await openRetention();
    await using other = await temporaryFolder();
    await appendDays(fixture, 0, 20);
    await mkdir(fixture.archive.path);
    const victim = join(other.path, 'victim');
    await writeFile(victim, 'precious');
    await symlink(victim, join(fixture.archive.path, 'audit-1-20.jsonl.part'));
    expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned' });
    expect(await readFile(victim, 'utf8')).toBe('precious');
  });

  it('a retention archive leaves no temporary file behind if writing the archive is interrupted', async () => {
    await using folder = await temporaryFolder();
    const archive = createArchive(join(folder.path, 'archive'));
    const seal = signer.sign({ sequence: 9, hash: 'a'.repeat(64), time: '', instance: 'test' });
    const write = archive.write({ base: GENESIS, seal }, async (add) => {
      await add({ text: '{"a":1}', hash: 'b', columnsMatch: true });
      throw new AppError('INTERRUPTED');
    });
    await expect(write).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await readdir(archive.path)).toEqual([]);
  });

  it('a retention archive is deleted if the checkpoint of its segment cannot be written', async () => {
    await using folder = await temporaryFolder();
    const archive = createArchive(folder.path);
    const seal = signer.sign({ sequence: 9, hash: 'a'.repeat(64), time: '', instance: 'test' });
    const segment = { base: GENESIS, seal };
    const fill: Parameters<typeof archive.write>[1] = (add) =>
      add({ text: '{"a":1}', hash: 'b', columnsMatch: true });
    // Blocks the path of the checkpoint's temporary file.
    await mkdir(join(folder.path, 'audit-1-9.checkpoint.part'));
    await expect(archive.write(segment, fill)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(await readdir(folder.path)).toEqual(['audit-1-9.checkpoint.part']);
    await rmdir(join(folder.path, 'audit-1-9.checkpoint.part'));
    expect(await archive.write(segment, fill)).toBe('audit-1-9.jsonl');
  });

  it('a service that stops after writing a retention archive leaves the records in the store, and the next run prunes them', async () => {
    await using fixture = await openRetention();
    await appendDays(fixture, 0, 20);
    const stop = new AbortController();
    const watch = ({ call, phase }: { readonly call: string; readonly phase: string }): void => {
      if (call === 'archive.write' && phase === 'after') stop.abort(new AppError('INTERRUPTED'));
    };
    const running = fixture.retention({ watch }).run({ signal: stop.signal });
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await fixture.store.base()).toEqual(GENESIS);
    expect(await fixture.retention().run()).toMatchObject({ kind: 'pruned', from: 1 });
    await expectWhole(fixture);
  });
});

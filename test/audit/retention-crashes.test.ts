import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verify } from '../../src/audit/verify/verify.ts';
import { Crash, crashAt } from '../fakes/faulty.ts';
import { appendDays, expectWhole, openRetention, proveArchive } from './retention-fixture.ts';

describe('retention after a crash', () => {
  it('loses no record and finishes the segment in the next run, for a crash between any two steps', async () => {
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
      // Records that became old meanwhile must not make archives overlap.
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

  it('replaces an incomplete archive file in the next run, whatever its content', async () => {
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

  it('prunes in only one of two concurrent runs', async () => {
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

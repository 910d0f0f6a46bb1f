import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verify } from '../../src/audit/verify/verify.ts';
import { Crash, crashAt } from '../fakes/faulty.ts';
import { days, expectWhole, openScene, proveArchive } from './retention-scene.ts';

describe('retention after a crash', () => {
  it('loses no record and finishes the segment in the next run, for a crash between any two steps', async () => {
    let crashes = 0;
    for (let step = 1; ; step += 1) {
      await using scene = await openScene({ inMemory: true });
      await days(scene, 0, 4);
      await scene.append(14, 1);
      const plan = crashAt(step);
      const running = scene.retention({ watch: plan.watch, segmentRecords: 4 }).run();
      const crashed = await running.then(
        () => false,
        (error: unknown) => {
          if (!(error instanceof Crash)) throw error;
          return true;
        },
      );
      await expectWhole(scene);
      expect(await scene.prove()).toMatchObject({ ok: true });
      // Records that became old meanwhile must not make archives overlap.
      await scene.append(16, 1);
      const retention = scene.retention();
      await retention.tidy();
      await retention.run();
      await retention.run();
      await expectWhole(scene);
      expect(await scene.prove()).toMatchObject({ ok: true, cutProved: true });
      let next = 1;
      for (const name of await scene.archived()) {
        const [, from, to] = /^audit-(\d+)-(\d+)\.jsonl$/.exec(name) ?? [];
        expect(Number(from)).toBe(next);
        next = Number(to) + 1;
      }
      expect((await scene.store.base()).sequence).toBe(next - 1);
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
      await using scene = await openScene();
      await days(scene, 0, 4);
      await scene.append(14, 1);
      await mkdir(scene.archive.path);
      for (const [name, text] of halves.slice(0, many)) await writeFile(join(scene.archive.path, name), text);
      expect(await scene.retention().run()).toMatchObject({ kind: 'left', to: 8 });
      expect((await readdir(scene.archive.path)).toSorted()).not.toContain('audit-1-8.jsonl.part');
      expect(await proveArchive(scene.archive.path, 'audit-1-8.jsonl')).toMatchObject({ ok: true });
      await expectWhole(scene);
    }
  });

  it('prunes in only one of two concurrent runs', async () => {
    await using scene = await openScene();
    await days(scene, 0, 20);
    const done = await Promise.all([scene.retention().run(), scene.retention().run()]);
    expect(done.map(({ kind }) => kind).toSorted()).toEqual(['left', 'nothing']);
    await expectWhole(scene);
    expect(await verify(scene.store.storedRecords(21), { after: await scene.store.base() })).toMatchObject({
      kind: 'intact',
    });
  });
});

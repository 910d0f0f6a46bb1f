import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { runRetentionOnce, runRetentionPeriodically } from '../../src/app/retention.ts';
import { AppError } from '../../src/core/errors.ts';
import type { LogFields } from '../../src/log/logger.ts';
import { RETENTION_MS, openRetention, type RetentionFixture } from '../audit/retention-fixture.ts';

interface Line extends LogFields {
  readonly said: string;
}

function appOf(scene: RetentionFixture, retentionMs: number | undefined = RETENTION_MS) {
  const lines: Line[] = [];
  const said =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ ...fields, said: `${level}: ${message}` });
  const app = {
    config: { audit: { retentionMs, archive: { path: scene.archive.path } } },
    audit: scene.checkpointer.audit,
    checkpoints: scene.checkpointer,
    clock: scene.clock,
    logger: { debug: said('debug'), info: said('info'), warn: said('warn'), error: said('error') },
  };
  return { app: app as unknown as App, lines };
}

async function until(isSo: () => boolean): Promise<void> {
  await expect.poll(isSo, { interval: 2, timeout: 5_000 }).toBe(true);
}

describe('while serving', () => {
  it('old records leave at once, and again when others became old', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    const { app, lines } = appOf(scene);
    {
      await using _ = runRetentionPeriodically(app, { everyMs: 5 });
      await until(() => lines.length === 1);
      await scene.append(40);
      await until(() => lines.length === 2);
    }
    expect(lines).toEqual([
      { said: 'info: old records of the audit have left', sequence: 3, count: 3, path: scene.archive.path },
      { said: 'info: old records of the audit have left', sequence: 7, count: 4, path: scene.archive.path },
    ]);
    expect(await scene.prove()).toMatchObject({ ok: true, from: 8 });
  });

  it('what goes wrong is said, and tried again', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    await writeFile(scene.archive.path, 'a file');
    const { app, lines } = appOf(scene);
    await using _ = runRetentionPeriodically(app, { everyMs: 5 });
    await until(() => lines.length >= 2);
    expect(lines[1]).toMatchObject({
      said: 'warn: old records of the audit could not leave',
      error: { code: 'AUDIT_UNAVAILABLE' },
    });
  });

  it('what cannot be proved stays, and that is said', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    scene.sql(`update records set record = replace(record, 'ann', 'bob') where sequence = 2`);
    const { app, lines } = appOf(scene);
    await runRetentionOnce(app);
    expect(lines).toEqual([
      {
        said: 'error: old records of the audit stay, since their chain does not hold',
        kind: 'edited',
        sequence: 2,
      },
    ]);
  });

  it('nothing is done without a retention, or after the end', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    const { app, lines } = appOf(scene);
    await using _ = runRetentionPeriodically({
      ...app,
      config: appOf(scene, 0).app.config,
      checkpoints: undefined,
    });
    await runRetentionOnce(app, AbortSignal.abort(new AppError('INTERRUPTED')));
    expect(lines).toEqual([]);
    expect(await scene.archived()).toEqual([]);
  });
});

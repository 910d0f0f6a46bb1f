import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { runRetentionOnce, runRetentionPeriodically } from '../../src/commands/retention.ts';
import { AppError } from '../../src/core/errors.ts';
import type { LogFields } from '../../src/telemetry/log-fields.ts';
import { openRetention, RETENTION_MS, type RetentionFixture } from '../audit/retention-fixture.ts';

interface Line extends LogFields {
  readonly text: string;
}

function appOf(scene: RetentionFixture, retentionMs: number | undefined = RETENTION_MS) {
  const lines: Line[] = [];
  const logMessage =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ ...fields, text: `${level}: ${message}` });
  const app = {
    config: { audit: { retentionMs, archive: { path: scene.archive.path } } },
    audit: scene.checkpointer.audit,
    checkpoints: scene.checkpointer,
    pins: { inForce: async () => [] },
    clock: scene.clock,
    logger: {
      debug: logMessage('debug'),
      info: logMessage('info'),
      warn: logMessage('warn'),
      error: logMessage('error'),
    },
  };
  return { app: app as unknown as App, lines };
}

async function until(isSo: () => boolean): Promise<void> {
  await expect.poll(isSo, { interval: 2, timeout: 5_000 }).toBe(true);
}

describe('retention in a service', () => {
  it('a service removes old records at the start, and again whenever more records become old', async () => {
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
      { text: 'info: old audit records were removed', sequence: 3, count: 3, path: scene.archive.path },
      { text: 'info: old audit records were removed', sequence: 7, count: 4, path: scene.archive.path },
    ]);
    expect(await scene.prove()).toMatchObject({ ok: true, from: 8 });
  });

  it('a service logs a failed removal of old records and retries', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    await writeFile(scene.archive.path, 'a file');
    const { app, lines } = appOf(scene);
    await using _ = runRetentionPeriodically(app, { everyMs: 5 });
    await until(() => lines.length >= 2);
    expect(lines[1]).toMatchObject({
      text: 'warn: old audit records could not be removed',
      error: { code: 'AUDIT_UNAVAILABLE' },
    });
  });

  it('a service keeps records that cannot be verified, and logs the reason', async () => {
    await using scene = await openRetention();
    await scene.append(0);
    await scene.append(20);
    scene.sql(`update records set record = replace(record, 'ann', 'bob') where sequence = 2`);
    const { app, lines } = appOf(scene);
    await runRetentionOnce(app);
    expect(lines).toEqual([
      {
        text: 'error: old audit records are kept, because their hash chain is broken',
        kind: 'edited',
        sequence: 2,
      },
    ]);
  });

  it('a service removes no records if no retention is configured, or if the service is ending', async () => {
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

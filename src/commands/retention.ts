import type { App } from '../app/app.ts';
import { renewedPin } from '../audit/last-pins.ts';
import { createArchive } from '../audit/retention/archive.ts';
import { createRetention, type Retention, type RetentionResult } from '../audit/retention/retention.ts';
import { AppError, assertNever, toAppError } from '../core/errors.ts';
import { createSharedRun } from '../core/serial-executor.ts';
import { within } from '../core/timer.ts';

type RetentionDeps = Pick<App, 'config' | 'audit' | 'checkpoints' | 'pins' | 'clock' | 'logger'>;

const HOUR_MS = 3_600_000;
const CLOSE_TIMEOUT_MS = 3_000;

/** Removes expired audit records, now and every hour. Does nothing without `audit.retention`. */
export function runRetentionPeriodically(app: RetentionDeps, { everyMs = HOUR_MS } = {}): AsyncDisposable {
  const retention = retentionOf(app);
  const closing = new AbortController();
  let isTidied = false;
  if (retention === undefined) return { [Symbol.asyncDispose]: async () => undefined };
  const removeOld = async (): Promise<void> => {
    if (!isTidied) await retention.tidy();
    isTidied = true;
    logResult(app, await retention.run({ signal: closing.signal }));
  };
  const run = createSharedRun(() => logFailures(app, removeOld, closing.signal));
  let last = run();
  const timer = setInterval(() => {
    last = run();
  }, everyMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      closing.abort(new AppError('INTERRUPTED'));
      // Let the current removal finish before the store closes. Another replica may hold the lock for a long time, so
      // wait only a few seconds. The next run continues the removal.
      await within(last, CLOSE_TIMEOUT_MS);
    },
  };
}

/**
 * Limits the removal at the end of a command, because a user waits for the command to end. Later runs remove the
 * remaining records.
 */
const MAX_SEGMENTS = 5;

/** Removes expired audit records at the end of a run. A failure is only logged, because it affects no Secret. */
export async function runRetentionOnce(app: RetentionDeps, signal?: AbortSignal): Promise<void> {
  const retention = retentionOf(app);
  if (retention === undefined || signal?.aborted) return;
  await logFailures(
    app,
    async () => logResult(app, await retention.run({ signal, maxSegments: MAX_SEGMENTS })),
    signal,
  );
}

function retentionOf({ config, audit, checkpoints, pins, clock }: RetentionDeps): Retention | undefined {
  const { retentionMs, archive } = config.audit;
  // Without checkpoints, remove nothing, because nothing would prove that the removal was legitimate. The configuration
  // loader rejects retention without checkpoints.
  if (retentionMs === undefined || checkpoints === undefined) return undefined;
  return createRetention({
    audit,
    checkpoints,
    renewPins: async (until) => {
      const inForce = await pins.inForce();
      return inForce.flatMap(({ record, isConfirmed }) =>
        isConfirmed && record.sequence <= until ? [renewedPin(record)] : [],
      );
    },
    retentionMs,
    archive: archive && createArchive(archive.path),
    clock,
  });
}

async function logFailures(
  { logger }: RetentionDeps,
  work: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (signal?.aborted) return;
    logger.warn('old audit records could not be removed', { error: toAppError(thrown) });
  }
}

function logResult({ logger, config }: RetentionDeps, retained: RetentionResult): void {
  switch (retained.kind) {
    case 'nothing':
    case 'suspended':
      return;
    case 'unsealed':
      logger.warn('old audit records are kept, because no checkpoint that covers them can be read', {
        sequence: retained.until,
      });
      return;
    case 'brokenChain':
      logger.error('old audit records are kept, because their hash chain is broken', {
        kind: retained.problem,
        sequence: retained.sequence,
      });
      return;
    case 'pruned':
      logger.info('old audit records were removed', {
        sequence: retained.to,
        count: retained.to - retained.from + 1,
        path: config.audit.archive?.path,
      });
      return;
    default:
      assertNever(retained);
  }
}

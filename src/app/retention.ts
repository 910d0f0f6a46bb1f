import { createArchive } from '../audit/retention/archive.ts';
import { createRetention, type RetentionResult, type Retention } from '../audit/retention/retention.ts';
import { AppError, assertNever, toAppError } from '../core/errors.ts';
import type { App } from './app.ts';

type RetentionDeps = Pick<App, 'config' | 'audit' | 'checkpoints' | 'clock' | 'logger'>;

const HOUR_MS = 3_600_000;
const CLOSE_TIMEOUT_MS = 3_000;

/** Lets old records leave, at once and every hour; nothing where `audit.retention` is not set. */
export function runRetentionPeriodically(app: RetentionDeps, { everyMs = HOUR_MS } = {}): AsyncDisposable {
  const retention = retentionOf(app);
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let tidied = false;
  const work = async (it: Retention): Promise<void> => {
    if (!tidied) await it.tidy();
    tidied = true;
    logResult(app, await it.run({ signal: closing.signal }));
  };
  const look = (it: Retention): void => {
    if (running !== undefined) return;
    running = logFailures(app, () => work(it), closing.signal).finally(() => {
      running = undefined;
    });
  };
  if (retention === undefined) return { [Symbol.asyncDispose]: async () => undefined };
  look(retention);
  const timer = setInterval(() => look(retention), everyMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      closing.abort(new AppError('INTERRUPTED'));
      // What is being removed is removed before the store is closed; but another replica may have its turn for long,
      // and whatever is cut off the next run goes on with.
      if (running !== undefined) await withinMs(running, CLOSE_TIMEOUT_MS);
    },
  };
}

/** Of a run that somebody waits for: the next ones do the rest. */
const MAX_SEGMENTS = 5;

/** At the end of a run. What goes wrong concerns nobody's Secrets, so the run is none the worse. */
export async function runRetentionOnce(app: RetentionDeps, signal?: AbortSignal): Promise<void> {
  const retention = retentionOf(app);
  if (retention === undefined || signal?.aborted) return;
  await logFailures(
    app,
    async () => logResult(app, await retention.run({ signal, maxSegments: MAX_SEGMENTS })),
    signal,
  );
}

async function withinMs(work: Promise<void>, ms: number): Promise<void> {
  const timedOut = Promise.withResolvers<void>();
  const timer = setTimeout(timedOut.resolve, ms);
  await Promise.race([work, timedOut.promise]);
  clearTimeout(timer);
}

function retentionOf({ config, audit, checkpoints, clock }: RetentionDeps): Retention | undefined {
  const { retentionMs, archive } = config.audit;
  // Without checkpoints nothing would prove the cut: such a configuration is refused.
  if (retentionMs === undefined || checkpoints === undefined) return undefined;
  return createRetention({
    audit,
    checkpoints,
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
    logger.warn('old records of the audit could not leave', { error: toAppError(thrown) });
  }
}

function logResult({ logger, config }: RetentionDeps, retained: RetentionResult): void {
  switch (retained.kind) {
    case 'nothing':
    case 'doubt':
      return;
    case 'unsealed':
      logger.warn('old records of the audit stay, since no checkpoint of them can be read', {
        sequence: retained.until,
      });
      return;
    case 'altered':
      logger.error('old records of the audit stay, since their chain does not hold', {
        kind: retained.problem,
        sequence: retained.sequence,
      });
      return;
    case 'left':
      logger.info('old records of the audit have left', {
        sequence: retained.to,
        count: retained.to - retained.from + 1,
        path: config.audit.archive?.path,
      });
      return;
    default:
      assertNever(retained);
  }
}

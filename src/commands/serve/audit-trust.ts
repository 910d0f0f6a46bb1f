import type { App } from '../../app/app.ts';
import { evidenceOf } from '../../app/checkpoints.ts';
import type { AppDeps } from '../../app/deps.ts';
import { createChainWatch } from '../../audit/verify/chain-watch.ts';
import { brokenIncludes } from '../../config/config.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { createSharedRun } from '../../core/serial-executor.ts';
import { within } from '../../core/timer.ts';
import { systemSleep } from '../../providers/timing.ts';
import type { Controller } from '../../service/controller.ts';
import type { Status } from '../../service/service.ts';
import { includeStatuses } from '../includes.ts';
import { auditWarnings, type ChainState, recordsUnverifiable } from './audit-warnings.ts';
import type { HttpFrontend, HttpFrontendDeps } from './http-frontend.ts';

interface WaitDeps extends Pick<HttpFrontendDeps, 'version' | 'configProblems'>, Pick<AppDeps, 'replica'> {
  /** Ends the wait when aborted. */
  readonly signal: AbortSignal;
  readonly front: Pick<HttpFrontend, 'use'>;
  readonly retryMs: number;
  /** Timeout for reading the last record. */
  readonly queryTimeoutMs?: number;
  /** Called regularly with the reason why nothing starts. */
  readonly onDoubt?: (doubt: AppError) => Promise<void>;
}

/**
 * Waits until the audit log matches its checkpoints, or until a person has accepted the loss. Meanwhile records can be
 * read, the status reports the problem, and no work starts.
 */
export async function waitForTrustedAudit(app: App, deps: WaitDeps): Promise<void> {
  const { checkpoints, storedAudit: audit, logger } = app;
  const { front, signal, retryMs, queryTimeoutMs } = deps;
  front.use({ evidence: () => evidenceOf(app) });
  if (checkpoints === undefined) return;
  let loggedMessage: string | undefined;
  let doubt = checkpoints.storeError();
  const auditStatus = createAuditStatus(app, { auditHealth: { error: () => doubt } }, queryTimeoutMs);
  for (; doubt !== undefined; doubt = await checkpoints.checkStore()) {
    if (loggedMessage !== doubt.message)
      logger.error('the audit log cannot be trusted, so no changes are made until a person has checked it', {
        error: doubt,
      });
    loggedMessage = doubt.message;
    const error = doubt;
    const status = async () => waitingStatus(app, error, await auditStatus(), deps);
    front.use({ waitingFor: error, audit, startupStatus: { status } });
    await deps.onDoubt?.(doubt);
    await systemSleep(retryMs, signal);
  }
  if (loggedMessage !== undefined) logger.info('the audit log is trusted again');
}

function waitingStatus(
  { config }: App,
  { code }: AppError,
  audit: Status['audit'],
  { version, replica, configProblems }: WaitDeps,
): Status {
  const problems = [...configProblems(), ...brokenIncludes(config).flatMap((include) => include.problems)];
  const down = { state: 'down', code } as const;
  return {
    instance: config.instance,
    version,
    replica,
    engine: { kind: config.engine.kind, ...down },
    audit,
    warnings: auditWarnings(config),
    cluster: { kind: config.cluster.kind, state: 'up' },
    config: { valid: problems.length === 0, problems, differing: [] },
    includes: includeStatuses(config),
    stores: [],
    events: [],
    targets: [],
    held: [],
  };
}

const HOUR_MS = 3_600_000;
/**
 * The pause after every few hundred records. With these pauses, the verification of a million records takes minutes,
 * but it does not delay other work.
 */
const PAUSE_MS = 10;

/** Verifies the hash chain in the background, now and every hour. */
export function verifyChainPeriodically(app: App, front: Pick<HttpFrontend, 'use'>): Disposable & ChainState {
  const { audit, recordKeys, clock, logger } = app;
  const closing = new AbortController();
  const watch = createChainWatch({
    store: audit,
    evidence: () => evidenceOf(app),
    recordKeys,
    clock,
    pause: () => systemSleep(PAUSE_MS, closing.signal),
  });
  front.use({ chain: watch });
  let loggedCount = 0;
  const verify = createSharedRun(async (): Promise<void> => {
    try {
      await watch.run();
      const problem = watch.problem();
      if (problem !== undefined)
        logger.error('the hash chain of the audit log is broken: run `secretbridge audit verify`', {
          kind: problem.kind,
          sequence: problem.sequence,
        });
      const count = watch.unverifiable();
      if (count > loggedCount)
        logger.warn('the audit log needs attention', { error: recordsUnverifiable(count) });
      loggedCount = count;
    } catch (thrown) {
      if (closing.signal.aborted) return;
      logger.warn('the hash chain of the audit log could not be verified', { error: toAppError(thrown) });
    }
  });
  void verify();
  const timer = setInterval(() => void verify(), HOUR_MS).unref();
  return {
    problem: watch.problem,
    unverifiable: watch.unverifiable,
    hasRun: watch.hasRun,
    [Symbol.dispose]() {
      clearInterval(timer);
      closing.abort(new AppError('INTERRUPTED'));
    },
  };
}

/**
 * Probes and scrapes time out after one to ten seconds. They must get an answer within this time even if the database
 * hangs.
 */
export const QUERY_TIMEOUT_MS = 2_000;

/**
 * Returns a function that reports the state of the audit store. If the store does not answer, the function reports the
 * last known sequence number; 0 would look like a loss. A hanging database receives only one query at a time, and later
 * callers do not wait for that query.
 */
export function createAuditStatus(
  { audit, checkpoints, config }: Pick<App, 'audit' | 'checkpoints' | 'config'>,
  { auditHealth }: { readonly auditHealth: Pick<Controller['auditHealth'], 'error'> },
  askMs = QUERY_TIMEOUT_MS,
): () => Promise<Status['audit']> {
  const { kind } = config.audit.store;
  let sequence = 0;
  let pendingQuery: Promise<true> | undefined;
  let isLate = false;

  const queryHead = async (): Promise<true> => {
    try {
      ({ sequence } = await audit.head());
      return true;
    } finally {
      pendingQuery = undefined;
      isLate = false;
    }
  };
  const requireAnswer = async (): Promise<void> => {
    const late = new AppError('AUDIT_UNAVAILABLE', { detail: 'it does not answer' });
    if (isLate) throw late;
    pendingQuery ??= queryHead();
    if (await within(pendingQuery, askMs)) return;
    isLate = pendingQuery !== undefined;
    throw late;
  };
  const down = ({ code }: AppError) => ({ kind, state: 'down' as const, sequence, code });

  return async () => {
    try {
      await requireAnswer();
    } catch (error) {
      if (error instanceof AppError && error.code === 'AUDIT_UNAVAILABLE') return down(error);
      throw error;
    }
    const auditError = auditHealth.error();
    if (auditError !== undefined) return down(auditError);
    const failing = checkpoints?.writeError();
    return failing === undefined
      ? { kind, state: 'up', sequence }
      : { kind, state: 'degraded', sequence, code: failing.code };
  };
}

import { createChainWatch } from '../../audit/verify/chain-watch.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { createSharedRun } from '../../core/serial-executor.ts';
import { systemSleep } from '../../providers/timing.ts';
import type { Status } from '../../service/service.ts';
import type { App, AppDeps } from '../app.ts';
import { createAuditStatus } from './audit-status.ts';
import type { HttpFrontend, HttpFrontendDeps } from './http-frontend.ts';

interface WaitDeps extends Pick<HttpFrontendDeps, 'version' | 'configProblems'>, Pick<AppDeps, 'replica'> {
  /** Ends the wait when aborted. */
  readonly signal: AbortSignal;
  readonly front: Pick<HttpFrontend, 'use'>;
  readonly retryMs: number;
  /** Timeout for reading the last record. */
  readonly queryTimeoutMs?: number;
}

/**
 * Waits until the audit log matches its checkpoints, or until a person has accepted the loss. Meanwhile records can be
 * read, the status reports the problem, and no work starts.
 */
export async function waitForTrustedAudit(app: App, deps: WaitDeps): Promise<void> {
  const { checkpoints, audit, logger } = app;
  const { front, signal, retryMs, queryTimeoutMs } = deps;
  if (checkpoints === undefined) return;
  front.use({ evidence: () => checkpoints.evidence() });
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
  const problems = configProblems();
  const down = { state: 'down', code } as const;
  return {
    instance: config.instance,
    version,
    replica,
    engine: { kind: config.engine.kind, ...down },
    audit,
    cluster: { kind: config.cluster.kind, state: 'up' },
    config: { valid: problems.length === 0, problems, differing: [] },
    stores: [],
    events: [],
    targets: [],
    held: [],
  };
}

const HOUR_MS = 3_600_000;
/** The pause after every few hundred records. Verifying a million records takes minutes in the background. */
const PAUSE_MS = 10;

/** Verifies the hash chain in the background, now and every hour. */
export function verifyChainPeriodically(
  { audit, checkpoints, clock, logger }: App,
  front: Pick<HttpFrontend, 'use'>,
): Disposable {
  const closing = new AbortController();
  const watch = createChainWatch({
    store: audit,
    evidence: async () => checkpoints?.evidence(),
    clock,
    pause: () => systemSleep(PAUSE_MS, closing.signal),
  });
  front.use({ chain: watch });
  const verify = createSharedRun(async (): Promise<void> => {
    try {
      await watch.run();
      const problem = watch.problem();
      if (problem !== undefined)
        logger.error('the hash chain of the audit log is broken: run `secretbridge audit verify`', {
          kind: problem.kind,
          sequence: problem.sequence,
        });
    } catch (thrown) {
      if (closing.signal.aborted) return;
      logger.warn('the hash chain of the audit log could not be verified', { error: toAppError(thrown) });
    }
  });
  void verify();
  const timer = setInterval(() => void verify(), HOUR_MS).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      closing.abort(new AppError('INTERRUPTED'));
    },
  };
}

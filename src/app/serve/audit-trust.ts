import { createChainWatch } from '../../audit/verify/chain-watch.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { systemSleep } from '../../providers/timing.ts';
import type { Status } from '../../service/service.ts';
import type { App, AppDeps } from '../app.ts';
import { createAuditStatus } from './audit-status.ts';
import type { HttpFrontend, HttpFrontendDeps } from './http-frontend.ts';

interface WaitDeps extends Pick<HttpFrontendDeps, 'version' | 'configProblems'>, Pick<AppDeps, 'replica'> {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  readonly front: Pick<HttpFrontend, 'use'>;
  readonly retryMs: number;
  /** How long the audit may take to say where it ends. */
  readonly queryTimeoutMs?: number;
}

/**
 * Resolves when the audit holds what its checkpoints prove, or a person has accepted that it does not. Until then the
 * records can be read, the status says what is the matter, and nothing else is begun.
 */
export async function waitForTrustedAudit(app: App, deps: WaitDeps): Promise<void> {
  const { checkpoints, audit, logger } = app;
  const { front, signal, retryMs: againMs, queryTimeoutMs: askMs } = deps;
  if (checkpoints === undefined) return;
  front.use({ evidence: () => checkpoints.evidence() });
  let loggedMessage: string | undefined;
  let doubt = checkpoints.storeError();
  const auditStatus = createAuditStatus(app, { auditHealth: { error: () => doubt } }, askMs);
  for (; doubt !== undefined; doubt = await checkpoints.checkStore()) {
    if (loggedMessage !== doubt.message)
      logger.error('the audit is in doubt, so nothing is changed until that is settled', { error: doubt });
    loggedMessage = doubt.message;
    const error = doubt;
    const status = async () => waitingStatus(app, error, await auditStatus(), deps);
    front.use({ waitingFor: error, audit, startupStatus: { status } });
    await systemSleep(againMs, signal);
  }
  if (loggedMessage !== undefined) logger.info('the audit is in doubt no longer');
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
/** Between a few hundred records: a million take minutes, and nobody notices. */
const PAUSE_MS = 10;

/** Proves the chain in the background, at once and every hour. */
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
  let running = false;
  const verify = async (): Promise<void> => {
    if (running) return;
    running = true;
    try {
      await watch.run();
      const problem = watch.problem();
      if (problem !== undefined)
        logger.error('the chain of the audit does not hold: run `secretbridge audit verify`', {
          kind: problem.kind,
          sequence: problem.sequence,
        });
    } catch (thrown) {
      if (closing.signal.aborted) return;
      logger.warn('the chain of the audit could not be proved', { error: toAppError(thrown) });
    } finally {
      running = false;
    }
  };
  void verify();
  const timer = setInterval(() => void verify(), HOUR_MS).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      closing.abort(new AppError('INTERRUPTED'));
    },
  };
}

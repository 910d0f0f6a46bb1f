import { type App, openApp } from '../../app/app.ts';
import type { AppDeps, AppObserver } from '../../app/deps.ts';
import type { AuditRecord } from '../../audit/entry.ts';
import { recordLine } from '../../audit/export/export.ts';
import type { Config } from '../../config/config.ts';
import { MAX_CONTEXT_AGE_MS } from '../../service/runs/sync-contexts.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

export interface ServiceAppDeps extends AppDeps {
  readonly metrics: Metrics;
  /** Called when the service must be opened again. */
  readonly onOutdated: () => void;
  /** Aborted when the service ends. */
  readonly signal: AbortSignal;
  /** Called with the records of this process. */
  readonly onRecords?: (records: readonly AuditRecord[]) => void;
}

/** Opens the app of the service, and forwards its events to metrics, log and standard output. */
export function openServiceApp(config: Config, deps: ServiceAppDeps): Promise<App> {
  return openApp(config, deps, {
    stop: deps.signal,
    maxReadAgeMs: MAX_CONTEXT_AGE_MS,
    onAuditLoss() {
      deps.logger.error('signed audit records are missing, so no changes are made');
      // The reopened service waits until a person accepts the loss.
      deps.onOutdated();
    },
    observe: observerOf(config, deps),
  });
}

type ObserverDeps = Pick<ServiceAppDeps, 'logger' | 'print' | 'metrics' | 'onRecords'>;

export function observerOf(
  { audit }: Config,
  { logger, print, metrics, onRecords }: ObserverDeps,
): AppObserver {
  return {
    onClusterWrite: (verb) => metrics.clusterWrite(verb),
    onRecords(records) {
      metrics.auditRecords(records.length);
      onRecords?.(records);
      if (audit.stdout) for (const record of records) print(recordLine(record));
    },
    onCall: ({ store, operation, outcome, ms }) =>
      metrics.providerRequest({ store, operation, outcome, seconds: ms / 1_000 }),
    onState(store, state, error) {
      if (error?.isTransient === false) logger.error('a store has a problem', { store, state, error });
      else if (error !== undefined) logger.warn('a store has a problem', { store, state, error });
      else logger.info('a store works again', { store });
    },
  };
}

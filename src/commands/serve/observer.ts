import type { AppDeps, AppObserver } from '../../app/app.ts';
import { recordLine } from '../../audit/export/export.ts';
import type { Config } from '../../config/config.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

export interface ObserverDeps extends Pick<AppDeps, 'logger' | 'print'> {
  readonly metrics: Metrics;
  /** Called when a store answers again after it was down. */
  readonly onBack: (store: string) => void;
}

/** Forwards the events of an app to metrics, log and standard output. */
export function observerOf({ audit }: Config, { logger, print, metrics, onBack }: ObserverDeps): AppObserver {
  const down = new Set<string>();
  return {
    onClusterWrite: (verb) => metrics.clusterWrite(verb),
    onRecords(records) {
      metrics.auditRecords(records.length);
      if (audit.stdout) for (const record of records) print(recordLine(record));
    },
    onCall: ({ store, operation, outcome, ms }) =>
      metrics.providerRequest({ store, operation, outcome, seconds: ms / 1_000 }),
    onState(store, state, error) {
      const wasDown = down.has(store);
      if (state === 'down') down.add(store);
      else down.delete(store);
      if (error?.isTransient === false) logger.error('a store has a problem', { store, state, error });
      else if (error !== undefined) logger.warn('a store has a problem', { store, state, error });
      else logger.info('a store works again', { store });
      // Call this only after `down`. A degraded store may be throttling requests, and must not receive all waiting
      // requests at once.
      if (wasDown && state !== 'down') onBack(store);
    },
  };
}

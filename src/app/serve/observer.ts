import { recordLine } from '../../audit/export/export.ts';
import type { Config } from '../../config/config.ts';
import type { Metrics } from '../../metrics/metrics.ts';
import type { AppDeps, AppObserver } from '../app.ts';

export interface ObserverDeps extends Pick<AppDeps, 'logger' | 'print'> {
  readonly metrics: Metrics;
  /** Called when a store that was down answers again. */
  readonly onBack: (store: string) => void;
}

/** Reports what an app does to metrics, log and standard output. */
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
      // A store that throttled us must not receive all waiting requests at once.
      if (wasDown && state !== 'down') onBack(store);
    },
  };
}

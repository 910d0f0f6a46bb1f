import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { AppError } from '../../core/errors.ts';
import { formatTarget } from '../../core/target.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Outbox } from '../outbox.ts';
import type { TargetStates } from '../target-states.ts';

export interface WatchErrorsDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: Pick<TargetStates, 'get'>;
  readonly outbox: Pick<Outbox, 'trigger'>;
  readonly logger: Logger;
}

/** The errors of the watches, by watch name. */
export interface WatchErrors {
  first(): AppError | undefined;
  /** Records the state of a watch. Without an error, the watch works. */
  note(name: string, error: AppError | undefined): void;
  /** Forgets a watch that has ended. */
  forget(name: string): void;
}

const CLUSTER_CODES: readonly string[] = [
  'CLUSTER_FORBIDDEN',
  'CLUSTER_UNAVAILABLE',
  'NAMESPACE_MISSING',
] satisfies ErrorCode[];

/**
 * Maximum number of watches that are logged for each error code, because an API server outage affects every watch. The
 * limit is per code, so that lasting permission errors and an outage do not hide each other.
 */
const MAX_LOGGED = 10;

export function createWatchErrors(deps: WatchErrorsDeps): WatchErrors {
  const { snapshot, states, outbox, logger } = deps;
  const errors = new Map<string, AppError>();
  /** The error code under which each watch was logged. */
  const logged = new Map<string, ErrorCode>();
  let peakCount = 0;

  /**
   * After a watch has recovered, queues its targets that had failed because of the API server or missing permissions.
   */
  const queueFailed = (watched: string): void => {
    const requestId = randomUUID();
    for (const { mapping, id } of snapshot().targets) {
      const code = states.get(mapping.name, id)?.error?.code;
      if (code === undefined || !CLUSTER_CODES.includes(code)) continue;
      if (watched === id.namespace || watched === formatTarget(id)) outbox.trigger(id, 'event', requestId);
    }
  };

  const logFailure = (name: string, error: AppError): void => {
    peakCount = Math.max(peakCount, errors.size);
    const sameCode = [...logged.values()].filter((code) => code === error.code).length;
    const isLogged = sameCode < MAX_LOGGED || logged.has(name);
    if (isLogged) logged.set(name, error.code);
    const level = !isLogged ? 'debug' : error.isTransient ? 'warn' : 'error';
    logger[level]('a watch failed and will be retried', { name, error });
  };

  const logAllRecovered = (): void => {
    if (errors.size > 0) return;
    if (peakCount > MAX_LOGGED) logger.info('all watches work again', { count: peakCount });
    peakCount = 0;
  };

  const logRecovery = (name: string): void => {
    if (logged.delete(name)) logger.info('a watch works again', { name });
    else logger.debug('a watch works again', { name });
    logAllRecovered();
  };

  return {
    first: () => errors.values().next().value,
    note(name, error) {
      const before = errors.get(name);
      if (error === undefined) errors.delete(name);
      else errors.set(name, error);
      if (error !== undefined && before?.code !== error.code) logFailure(name, error);
      if (error !== undefined || before === undefined) return;
      logRecovery(name);
      queueFailed(name);
    },
    forget(name) {
      errors.delete(name);
      logged.delete(name);
      logAllRecovered();
    },
  };
}

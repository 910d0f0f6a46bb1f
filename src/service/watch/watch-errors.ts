import type { ErrorCode } from '../../core/error-codes.ts';
import type { AppError } from '../../core/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';

export interface WatchErrorsDeps {
  /** Called when a watch works again. */
  readonly onRecovered: (name: string) => void;
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

/**
 * Maximum number of watches that are logged for each error code, because an API server outage affects every watch. The
 * limit is per code, so that lasting permission errors and an outage do not hide each other.
 */
const MAX_LOGGED = 10;

export function createWatchErrors(deps: WatchErrorsDeps): WatchErrors {
  const { logger } = deps;
  const errors = new Map<string, AppError>();
  /** The error code under which each watch was logged. */
  const logged = new Map<string, ErrorCode>();
  let peakCount = 0;

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
      deps.onRecovered(name);
    },
    forget(name) {
      errors.delete(name);
      logged.delete(name);
      logAllRecovered();
    },
  };
}

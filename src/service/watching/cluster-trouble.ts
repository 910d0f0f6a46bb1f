import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { AppError } from '../../core/errors.ts';
import { formatTarget } from '../../core/target.ts';
import type { Logger } from '../../log/logger.ts';
import type { Board } from '../board.ts';
import type { Generation } from '../generation.ts';
import type { Ledger } from '../ledger.ts';

export interface ClusterTroubleDeps {
  readonly generation: () => Generation;
  readonly board: Pick<Board, 'known'>;
  readonly ledger: Pick<Ledger, 'trigger'>;
  readonly logger: Logger;
}

/** Why parts of the cluster cannot be watched, by the name of the watch. */
export interface ClusterTrouble {
  first(): AppError | undefined;
  /** Without an error: the watch works. */
  note(name: string, error: AppError | undefined): void;
  /** The watch has ended, whether it worked again or not. */
  forget(name: string): void;
}

const OF_THE_CLUSTER: readonly string[] = [
  'CLUSTER_FORBIDDEN',
  'CLUSTER_UNAVAILABLE',
  'NAMESPACE_MISSING',
] satisfies ErrorCode[];

/**
 * Each namespace, or with `scope: names` each target, has a watch, and an outage of the API server is one of them all. So many are
 * named for each code: rights that are missing for good must not hide an outage, nor an outage the one watch that lacks a right.
 */
const MOST_NAMED = 10;

export function createClusterTrouble(deps: ClusterTroubleDeps): ClusterTrouble {
  const { generation, board, ledger, logger } = deps;
  const trouble = new Map<string, AppError>();
  /** Those that the log has named, with the code, and of how many the trouble was. */
  const named = new Map<string, ErrorCode>();
  let most = 0;

  /** What failed for want of the API server, or of rights in it, may be done where a watch works again. */
  const wakeWhere = (watched: string): void => {
    const requestId = randomUUID();
    for (const { mapping, id } of generation().wanted) {
      const code = board.known(mapping.name, id)?.error?.code;
      if (code === undefined || !OF_THE_CLUSTER.includes(code)) continue;
      if (watched === id.namespace || watched === formatTarget(id)) ledger.trigger(id, 'event', requestId);
    }
  };

  const begins = (name: string, error: AppError): void => {
    most = Math.max(most, trouble.size);
    const ofThisCode = [...named.values()].filter((code) => code === error.code).length;
    const isNamed = ofThisCode < MOST_NAMED || named.has(name);
    if (isNamed) named.set(name, error.code);
    const level = !isNamed ? 'debug' : error.heals ? 'warn' : 'error';
    logger[level]('a watch has trouble and goes on', { name, error });
  };

  const over = (): void => {
    if (trouble.size > 0) return;
    if (most > MOST_NAMED) logger.info('all watches work again', { count: most });
    most = 0;
  };

  const ends = (name: string): void => {
    if (named.delete(name)) logger.info('a watch works again', { name });
    else logger.debug('a watch works again', { name });
    over();
  };

  return {
    first: () => trouble.values().next().value,
    note(name, error) {
      const before = trouble.get(name);
      if (error === undefined) trouble.delete(name);
      else trouble.set(name, error);
      if (error !== undefined && before?.code !== error.code) begins(name, error);
      if (error !== undefined || before === undefined) return;
      ends(name);
      wakeWhere(name);
    },
    forget(name) {
      trouble.delete(name);
      named.delete(name);
      over();
    },
  };
}

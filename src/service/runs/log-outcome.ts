import { isTransient } from '../../core/errors.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { Logger } from '../../telemetry/logger.ts';

/**
 * Logs an outcome. `error`: an operator must act · `warn`: the run is retried · `info`: a change · `debug`: everything
 * else.
 *
 * @param before Error code of the previous run. If the code is the same, the level is `debug`.
 * @param reason The reason of the run, if known. It distinguishes a repair of drift from a rotation.
 */
export function logOutcome(
  logger: Logger,
  { kind, mapping, target, error, proposal }: Outcome,
  requestId: string,
  { before, reason }: { readonly before?: string | undefined; readonly reason?: string } = {},
): void {
  const fields = { requestId, mapping, ...target, outcome: kind, reason };
  // The deletion step usually decides on the proposal within a second, and logs its decision.
  if (proposal !== undefined) logger.debug('target proposes its deletion', fields);
  else if (error === undefined) {
    if (before !== undefined) logger.info('target is in sync again', fields);
    else if (kind === 'unchanged') logger.debug('target is in sync', fields);
    else logger.info('target changed', fields);
  } else if (error.code === before) logger.debug('target is still not in sync', { ...fields, error });
  else if (kind === 'waiting') logger.info('target waits for its window', { ...fields, error });
  else if (isTransient(error.code)) logger.warn('target not in sync, will be retried', { ...fields, error });
  else logger.error('target not in sync, an operator must act', { ...fields, error });
}

import { isTransient } from '../../core/errors.ts';
import type { Logger } from '../../log/logger.ts';
import type { Outcome } from '../../reconcile/outcome.ts';

/**
 * `error`: a person must act · `warn`: it heals by itself · `info`: something changed · `debug`: the rest.
 * @param before The code with which the run before failed: the same again is no news.
 * @param reason Why there was a run, where that is known: an edit by hand that was repaired is told from a rotation.
 */
export function logOutcome(
  logger: Logger,
  { kind, mapping, target, error, proposal }: Outcome,
  requestId: string,
  { before, reason }: { readonly before?: string | undefined; readonly reason?: string } = {},
): void {
  const fields = { requestId, mapping, ...target, outcome: kind, reason };
  // Whether a person must act, only the step shows that decides on it; mostly it deletes within a second.
  if (proposal !== undefined) logger.debug('target proposes its end', fields);
  else if (error === undefined) {
    if (before !== undefined) logger.info('target is in step again', fields);
    else if (kind === 'unchanged') logger.debug('target is in step', fields);
    else logger.info('target changed', fields);
  } else if (error.code === before) logger.debug('target is still not in step', { ...fields, error });
  else if (isTransient(error.code))
    logger.warn('target not in step, will be tried again', { ...fields, error });
  else logger.error('target not in step, a person must act', { ...fields, error });
}

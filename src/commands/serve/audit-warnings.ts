import type { ChainWatch } from '../../audit/verify/chain-watch.ts';
import { areCheckpointsReadable } from '../../config/checks/service.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import type { StatusWarning } from '../../service/service.ts';

/** The result of the verification in the background. */
export type ChainState = Pick<ChainWatch, 'problem' | 'unverifiable'> & Partial<Pick<ChainWatch, 'hasRun'>>;

/** Returns what `status` and the review page report about the audit log. */
export function auditWarnings(
  config: Pick<Config, 'audit'>,
  chain?: ChainState | undefined,
): readonly StatusWarning[] {
  return auditDoubts(config, chain).map(({ code, message }) => ({ code, message }));
}

export function auditDoubts(
  { audit }: Pick<Config, 'audit'>,
  chain?: ChainState | undefined,
): readonly AppError[] {
  const errors: AppError[] = [];
  if (!areCheckpointsReadable(audit)) errors.push(new AppError('CHECKPOINTS_MISSING'));
  const problem = chain?.problem();
  if (problem !== undefined)
    errors.push(new AppError('AUDIT_ALTERED', { detail: `${problem.kind} at record ${problem.sequence}` }));
  const unverifiable = chain?.unverifiable() ?? 0;
  if (unverifiable > 0) errors.push(recordsUnverifiable(unverifiable));
  return errors;
}

export function recordsUnverifiable(count: number): AppError {
  return new AppError('RECORDS_UNVERIFIABLE', { detail: `${count} of its records` });
}

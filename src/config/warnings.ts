import { ERRORS } from '../core/error-codes.ts';
import type { Config } from './config.ts';
import type { Finding } from './problem.ts';

/** Returns what is valid in a configuration, but probably not wanted. */
export function findWarnings({ audit }: Pick<Config, 'audit'>): readonly Finding[] {
  if (areCheckpointsReadable(audit)) return [];
  const code = 'CHECKPOINTS_MISSING';
  return [{ path: ['audit', 'checkpoints'], code, message: ERRORS[code].message }];
}

/** Whether checkpoints are kept at a place from which they can be read back. Standard output is not such a place. */
export function areCheckpointsReadable({ checkpoints }: Config['audit']): boolean {
  return checkpoints.some(({ kind }) => kind !== 'stdout');
}

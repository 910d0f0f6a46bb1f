import { clockSkewError } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { accessTo, errorOf } from '../aws/access.ts';
import type { Check } from '../provider.ts';
import { getParameters } from './batch.ts';
import type { Session } from './value.ts';

/**
 * A parameter that does not exist. AWS responds that it does not exist, or that we are not allowed to know whether it
 * exists. Both responses prove that connection and login work.
 */
const MISSING = { key: '/secretbridge/check/none', version: undefined };

/**
 * Checks the credentials first, then the connection and the login with a single call, which reads nothing. A failed
 * check ends the checks, unless only the clock is wrong. Policies allow single names and paths, so only reads and
 * searches of the configured keys can show a missing permission.
 */
export async function checkStore(
  session: Session,
  signal: AbortSignal | undefined,
): Promise<readonly Check[]> {
  const credentials = await errorOf(session.ensure(signal));
  if (credentials !== undefined) return [{ name: 'credentials', error: credentials }];
  const access = await accessTo(getParameters(session, [MISSING], signal));
  const clock = clockSkewError(session.skewMs ?? 0, "the store's");
  const checks: Check[] = [
    { name: 'credentials' },
    ...(clock === undefined ? [] : [{ name: 'clock', error: clock }]),
  ];
  if (!(access instanceof AppError) && access !== 'not there')
    return [...checks, { name: 'reach' }, { name: 'login' }];
  const error = access instanceof AppError ? access : unsupported();
  // A refused login proves that AWS is reachable.
  if (error.code !== 'AUTH_FAILED') return [...checks, { name: 'reach', error }];
  return [...checks, { name: 'reach' }, { name: 'login', error }];
}

/** Resolves if the service works. Any response to a signed call proves this, even a refusal. @throws AppError */
export async function probeStore(session: Session, signal: AbortSignal | undefined): Promise<void> {
  const access = await accessTo(getParameters(session, [MISSING], signal));
  if (access instanceof AppError) throw access;
}

function unsupported(): AppError {
  return new AppError('CONFIG_INVALID', { detail: 'the service at `endpoint` has no Parameter Store' });
}

import { clockSkewError } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { type Access, accessTo, errorOf } from '../aws/access.ts';
import type { Check } from '../provider.ts';
import { getBatch } from './batch.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';

/**
 * The name of a secret that does not exist. AWS responds that the secret does not exist, or that we are not allowed to
 * know whether it exists.
 */
const MISSING_SECRET = 'secretbridge/check/none';

const BATCH_DENIED =
  'read in batches: not allowed, so each secret needs a separate call; ' +
  'allow secretsmanager:BatchGetSecretValue on * to read up to twenty secrets per call';
const BATCH_UNSUPPORTED =
  'read in batches: this service does not have the operation, so each secret needs a separate call';
const LIST_DENIED =
  'list: not allowed, so `find` fails and each check for new versions reads every secret; ' +
  'allow secretsmanager:ListSecrets on * to avoid this';
const LIST_UNSUPPORTED =
  'list: this service does not have the operation, so `find` fails and each check for new versions reads every secret';

/**
 * Checks the credentials first. Then checks the connection and the login with a single call, which reads nothing. A
 * failed check ends the checks, unless only the clock is wrong. A missing permission that only saves calls is no
 * failure: the check succeeds, and its name mentions the permission.
 */
export async function checkStore(store: Store, signal: AbortSignal | undefined): Promise<readonly Check[]> {
  const { session, batch } = store;
  const credentials = await errorOf(session.ensure(signal));
  if (credentials !== undefined) return [{ name: 'credentials', error: credentials }];
  const checks: Check[] = [{ name: 'credentials' }];

  const batchAccess = await accessTo(getBatch(session, [MISSING_SECRET], signal));
  const clock = clockSkewError(session.skewMs ?? 0, "the store's");
  if (clock !== undefined) checks.push({ name: 'clock', error: clock });
  if (batchAccess instanceof AppError) {
    // A refused login proves that AWS is reachable.
    if (batchAccess.code !== 'AUTH_FAILED') return [...checks, { name: 'reach', error: batchAccess }];
    return [...checks, { name: 'reach' }, { name: 'login', error: batchAccess }];
  }
  batch.isUsable = batchAccess === 'yes';
  const batches: Readonly<Record<Access, Check>> = {
    yes: { name: 'read in batches' },
    denied: { name: BATCH_DENIED, saves: 'batch' },
    'not there': { name: BATCH_UNSUPPORTED },
  };
  checks.push({ name: 'reach' }, { name: 'login' }, batches[batchAccess]);

  const listAccess = await accessTo(listPages(session, [MISSING_SECRET], signal).next());
  if (listAccess instanceof AppError) return [...checks, { name: 'list', error: listAccess }];
  const lists: Readonly<Record<Access, Check>> = {
    yes: { name: 'list' },
    denied: { name: LIST_DENIED, saves: 'list' },
    'not there': { name: LIST_UNSUPPORTED },
  };
  return [...checks, lists[listAccess]];
}

/** Resolves if the service works. Any response to a signed call proves this, even a refusal. @throws AppError */
export async function probeStore({ session }: Store, signal: AbortSignal | undefined): Promise<void> {
  const access = await accessTo(getBatch(session, [MISSING_SECRET], signal));
  if (access instanceof AppError) throw access;
}

import { AppError } from '../../core/errors.ts';
import { clockSkewed } from '../../core/skew.ts';
import type { Check } from '../provider.ts';
import { askForAll } from './batch.ts';
import { isDenied, isType, NOT_THERE, toStoreError } from './errors.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';

/** Nobody's: the answer says that it does not exist, or that we may not know. */
const NOBODY = 'secretbridge/check/none';

const NO_BATCH =
  'read in batches: not allowed, so each secret costs a call of its own; ' +
  'secretsmanager:BatchGetSecretValue on * makes one call of up to twenty';
const WITHOUT_BATCH =
  'read in batches: this service has no such operation, so each secret costs a call of its own';
const NO_LIST =
  'list: not allowed, so `find` fails and a check for new versions reads every secret; ' +
  'secretsmanager:ListSecrets on * allows both';
const WITHOUT_LIST =
  'list: this service has no such operation, so `find` fails and a check for new versions reads every secret';

/**
 * Credentials, then reach and login by one call that reads nothing: in this order, ending with the first that fails
 * (the clock ends nothing). A permission that only saves calls is told in the name of its check.
 */
export async function checkStore(store: Store, signal: AbortSignal | undefined): Promise<readonly Check[]> {
  const { session, batch } = store;
  const credentials = await failureOf(session.ensure(signal));
  if (credentials !== undefined) return [{ name: 'credentials', error: credentials }];
  const checks: Check[] = [{ name: 'credentials' }];

  const mayBatch = await allowed(askForAll(session, [NOBODY], signal));
  const clock = clockSkewed(session.skewMs ?? 0, "the store's");
  if (clock !== undefined) checks.push({ name: 'clock', error: clock });
  if (mayBatch instanceof AppError) {
    // Whoever answers by refusing the login has been reached.
    if (mayBatch.code !== 'AUTH_FAILED') return [...checks, { name: 'reach', error: mayBatch }];
    return [...checks, { name: 'reach' }, { name: 'login', error: mayBatch }];
  }
  batch.isUsable = mayBatch === 'yes';
  const batches: Readonly<Record<Allowed, Check>> = {
    yes: { name: 'read in batches' },
    denied: { name: NO_BATCH, saves: 'batch' },
    'not there': { name: WITHOUT_BATCH },
  };
  checks.push({ name: 'reach' }, { name: 'login' }, batches[mayBatch]);

  const mayList = await allowed(listPages(session, [NOBODY], signal).next());
  if (mayList instanceof AppError) return [...checks, { name: 'list', error: mayList }];
  const lists: Readonly<Record<Allowed, Check>> = {
    yes: { name: 'list' },
    denied: { name: NO_LIST, saves: 'list' },
    'not there': { name: WITHOUT_LIST },
  };
  return [...checks, lists[mayList]];
}

/** Any answer to a signed call shows a service in working order, a refusal too. @throws AppError */
export async function probeStore({ session }: Store, signal: AbortSignal | undefined): Promise<void> {
  const answered = await allowed(askForAll(session, [NOBODY], signal));
  if (answered instanceof AppError) throw answered;
}

/** A permission or an operation that is missing says that everything before it works. */
type Allowed = 'yes' | 'denied' | 'not there';

async function allowed(call: Promise<unknown>): Promise<Allowed | AppError> {
  try {
    await call;
    return 'yes';
  } catch (thrown) {
    if (isDenied(thrown)) return 'denied';
    if (isType(thrown, ...NOT_THERE)) return 'not there';
    const error = toStoreError(thrown);
    if (error instanceof AppError) return error;
    throw error;
  }
}

async function failureOf(work: Promise<unknown>): Promise<AppError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    const error = toStoreError(thrown);
    if (error instanceof AppError) return error;
    throw error;
  }
}

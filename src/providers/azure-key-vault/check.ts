import { clockSkewError } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Check } from '../provider.ts';
import { abortedBy, UNUSED_NAME } from './clients.ts';
import { fromRefusal, isNotFound, Refusal } from './errors.ts';
import { listSecrets } from './list.ts';
import type { Login } from './login.ts';
import type { Store } from './read.ts';

const LIST_DENIED =
  'list: not allowed, so `find` fails and each check for new versions reads every secret; ' +
  'grant the permission to list all secrets of the vault to avoid this';

/**
 * Runs the checks connection, clock, login, read and list in this order. A failed check ends the checks, unless it is
 * the clock check.
 */
export async function checkStore(
  { vault, deps }: Store,
  login: Login,
  signal: AbortSignal | undefined,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const reached = await failureOf(async () => {
    const date = await vault.reach(signal);
    const error = date === undefined ? undefined : clockSkewError(deps.clock.now() - date, "the store's");
    if (error !== undefined) checks.push({ name: 'clock', error });
  });
  checks.push(checkOf('reach', reached));
  if (reached !== undefined) return checks;

  const failed = await failureOf(() =>
    vault.call('secrets', (secrets) => secrets.getSecret(UNUSED_NAME, abortedBy(signal)), signal),
  );
  const failedAtLogin = failed?.code === 'AUTH_FAILED' || login.lastFailedWith(failed);
  checks.push(checkOf('login', failedAtLogin ? failed : undefined));
  if (!failedAtLogin) checks.push(checkOf('read', failed));
  return failed === undefined ? [...checks, await checkList(vault, signal)] : checks;
}

/**
 * Without the permission to list, the check succeeds and its name mentions the permission, because the permission only
 * saves calls.
 */
async function checkList(vault: Store['vault'], signal: AbortSignal | undefined): Promise<Check> {
  try {
    await listSecrets(vault, signal, () => false);
    return { name: 'list' };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.code === 'ACCESS_DENIED' ? { name: LIST_DENIED, saves: 'list' } : { name: 'list', error };
  }
}

/**
 * Requests a secret that does not exist. Resolves after any response, even a refusal, because any response proves that
 * the vault works. @throws AppError
 */
export async function probeStore({ vault }: Store, signal: AbortSignal | undefined): Promise<void> {
  try {
    await vault.reach(signal);
  } catch (error) {
    throw error instanceof Refusal ? fromRefusal(error) : error;
  }
}

function checkOf(name: string, error: AppError | undefined): Check {
  return error === undefined ? { name } : { name, error };
}

async function failureOf(ask: () => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    if (!(error instanceof Refusal)) throw error;
    return provesReadAccess(error) ? undefined : fromRefusal(error);
  }
}

/**
 * Whether a refusal proves access. The requested secret never exists. If the role of the identity covers only single
 * secrets, the vault denies access instead of reporting that the secret does not exist.
 */
function provesReadAccess(refusal: Refusal): boolean {
  return isNotFound(refusal) || (refusal.status === 403 && refusal.inner === 'ForbiddenByRbac');
}

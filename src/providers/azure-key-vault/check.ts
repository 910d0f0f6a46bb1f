import { AppError } from '../../core/errors.ts';
import { clockSkewed } from '../../core/skew.ts';
import type { Check } from '../provider.ts';
import { abortedBy, UNUSED_NAME } from './clients.ts';
import { fromRefusal, isNotFound, Refusal } from './errors.ts';
import { listSecrets } from './list.ts';
import type { Login } from './login.ts';
import type { Store } from './read.ts';

const NO_LIST =
  'list: not allowed, so `find` fails and a check for new versions reads every secret; ' +
  'the permission to list secrets of the whole vault allows both';

/** Reach, clock, login, read, list: in this order, ending with the first that fails (the clock ends nothing). */
export async function checkStore(
  { vault, deps }: Store,
  login: Login,
  signal: AbortSignal | undefined,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const reached = await failureOf(async () => {
    const date = await vault.reach(signal);
    const error = date === undefined ? undefined : clockSkewed(deps.clock.now() - date, "the store's");
    if (error !== undefined) checks.push({ name: 'clock', error });
  });
  checks.push(named('reach', reached));
  if (reached !== undefined) return checks;

  const failed = await failureOf(() =>
    vault.ask('secrets', (secrets) => secrets.getSecret(UNUSED_NAME, abortedBy(signal)), signal),
  );
  const atLogin = failed?.code === 'AUTH_FAILED' || login.endedWith(failed);
  checks.push(named('login', atLogin ? failed : undefined));
  if (!atLogin) checks.push(named('read', failed));
  return failed === undefined ? [...checks, await checkList(vault, signal)] : checks;
}

/** A permission that only saves calls is told in the name of its check. */
async function checkList(vault: Store['vault'], signal: AbortSignal | undefined): Promise<Check> {
  try {
    await listSecrets(vault, signal, () => false);
    return { name: 'list' };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.code === 'ACCESS_DENIED' ? { name: NO_LIST, saves: 'list' } : { name: 'list', error };
  }
}

/** One request for what nobody has: any answer will do, a refusal too. @throws AppError */
export async function probeStore({ vault }: Store, signal: AbortSignal | undefined): Promise<void> {
  try {
    await vault.reach(signal);
  } catch (error) {
    throw error instanceof Refusal ? fromRefusal(error) : error;
  }
}

function named(name: string, error: AppError | undefined): Check {
  return error === undefined ? { name } : { name, error };
}

async function failureOf(ask: () => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    if (!(error instanceof Refusal)) throw error;
    return mayBeRead(error) ? undefined : fromRefusal(error);
  }
}

/** There is no such secret. A role may be for single secrets, and then nothing is said of others. */
function mayBeRead(refusal: Refusal): boolean {
  return isNotFound(refusal) || (refusal.status === 403 && refusal.inner === 'ForbiddenByRbac');
}

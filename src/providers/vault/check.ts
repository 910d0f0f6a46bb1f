import { clockSkewError } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { type JsonNode, member, textOf } from '../../core/json.ts';
import { nearest } from '../../core/nearest.ts';
import type { Check } from '../provider.ts';
import { parseAnswer } from './answer.ts';
import type { Command, VaultClient } from './client.ts';
import { reach } from './health.ts';
import type { Store } from './read.ts';

/**
 * Runs the checks connection, clock, login and mount in this order. A failed check ends the checks, unless it is the
 * clock check.
 */
export async function checkStore(
  store: Store,
  client: VaultClient,
  signal: AbortSignal | undefined,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const run = async (name: string, ask: () => Promise<unknown>): Promise<boolean> => {
    const error = await failureOf(ask);
    checks.push(error === undefined ? { name } : { name, error });
    return error === undefined;
  };
  const isReached = await run('reach', async () => {
    const { date } = await reach(client, signal);
    const error =
      date === undefined ? undefined : clockSkewError(store.deps.clock.now() - date, "the store's");
    if (error !== undefined) checks.push({ name: 'clock', error });
  });
  if (!isReached) return checks;
  if (!(await run('login', () => logIn(store, signal)))) return checks;
  await run('mount', () => confirmMount(store, signal));
  return checks;
}

/** Logs in, and proves the login with the mount query, because some tokens are not allowed to look themselves up. */
async function logIn(store: Store, signal: AbortSignal | undefined): Promise<void> {
  await store.session.ensure(signal);
  const error = await failureOf(() => store.confirmMount(signal));
  if (error?.code === 'AUTH_FAILED') throw error;
}

/** For a missing mount, Vault returns 403 even if the identity has full access. */
async function confirmMount(store: Store, signal: AbortSignal | undefined): Promise<void> {
  const error = await failureOf(() => store.confirmMount(signal));
  if (error === undefined) return;
  if (error.code !== 'ACCESS_DENIED' && error.code !== 'MOUNT_NOT_FOUND') throw error;
  const { mount } = store.config;
  const near = await nearMount(store, signal);
  const denied = error.code === 'ACCESS_DENIED';
  const detail = denied ? `Vault also gives this answer if the mount ${mount} does not exist` : error.detail;
  const remedy = denied
    ? `Grant the identity of secretbridge access to a path in \`${mount}/\` with a policy in Vault, or correct \`mount\`.`
    : error.remedy;
  throw new AppError(error.code, {
    ...(detail === undefined ? {} : { detail }),
    remedy: near === undefined ? remedy : `Did you mean the mount \`${near}\`? ${remedy}`,
    cause: error,
  });
}

/** Returns the key/value mount with the nearest name, among the mounts that our identity may see. */
async function nearMount(
  { config, session }: Store,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const list: Command = (vault, options) => vault.read('sys/internal/ui/mounts', options);
  let mounts: JsonNode | undefined;
  const error = await failureOf(async () => {
    mounts = member(parseAnswer(await session.call('describe', list, signal, false)), 'data', 'secret');
  });
  if (error !== undefined || mounts?.kind !== 'object') return undefined;
  const names = mounts.members
    .filter(([, mount]) => /^(?:kv|generic)$/.test(textOf(member(mount, 'type')) ?? ''))
    .map(([name]) => name.replace(/\/$/, ''));
  return names.includes(config.mount) ? undefined : nearest(config.mount, names);
}

async function failureOf(ask: () => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

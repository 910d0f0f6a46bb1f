import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import { errorTexts, isNothing, parseAnswer } from './answer.ts';
import type { Command, VaultClient } from './client.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { confirmNamespace } from './health.ts';
import { encodePath } from './paths.ts';
import type { Session } from './session.ts';

/** Returns a query for the mount. Any identity with some access to the mount may send it. */
export function mountQuery({ mount }: Pick<VaultConfig, 'mount'>): Command {
  const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
  return (vault, options) => vault.read(path, options);
}

/**
 * Resolves if the server confirms that the mount exists and has the configured version. Sends its request after this
 * call, and never uses an earlier response. Without this check, a 404 for a key proves nothing. If a version 1 mount is
 * read as version 2, it responds as if the key were missing. A mount may also have been replaced.
 * @throws AppError MOUNT_NOT_FOUND, ACCESS_DENIED, or the error of the failed request.
 * @throws The signal's reason once it is aborted.
 */
export type ConfirmMount = (signal: AbortSignal | undefined) => Promise<void>;

export function createMountCheck(config: VaultConfig, session: Session, client: VaultClient): ConfirmMount {
  const query = mountQuery(config);
  const ask = async (): Promise<void> => {
    checkMount(config, await session.call('describe', query, undefined, false));
    await confirmNamespace(config, client);
  };
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = ask();
    return running;
  };
  // A new caller does not use a query that is already running, because the server may have answered the query before it
  // sent the caller's 404. The next query serves all callers that arrive before it starts. So a thousand absent keys
  // need only a few queries.
  return async (signal) => {
    signal?.throwIfAborted();
    next ??= Promise.allSettled([running]).then(start);
    await unlessAborted(next, signal);
  };
}

function checkMount({ namespace, mount, kvVersion }: VaultConfig, answer: Answer): void {
  if (answer.status !== 200) throw fromStatus(answer);
  const data = member(parseAnswer(answer), 'data');
  const type = textOf(member(data, 'type'));
  if (type === undefined) throw badAnswer('a mount without its type');
  // For any path below a mount, Vault returns this mount. So compare `path` with the configured mount. If the mount is
  // in a child namespace, `path` starts with the namespace.
  const path = textOf(member(data, 'path'));
  const isOfNamespaceBelow = namespace !== undefined && path === `${namespace}/${mount}/`;
  if (path !== `${mount}/` && !isOfNamespaceBelow) throw missing('no such mount');
  if (type !== 'kv' && type !== 'generic') throw missing('the mount is not a key/value engine');
  const version = textOf(member(data, 'options', 'version')) === '2' ? 2 : 1;
  if (version !== kvVersion)
    throw missing(`the mount has version ${version}, but the configuration says ${kvVersion}`);
}

function missing(detail: string): AppError {
  return new AppError('MOUNT_NOT_FOUND', { detail });
}

/**
 * Whether a 404 contains no further information. Vault sends such a 404 for a path that does not exist. For a wrong
 * mount, namespace or engine version, Vault adds texts to `errors` or `warnings`.
 */
export function isBare404(answer: Answer): boolean {
  if (answer.status !== 404) return false;
  const body = parseJsonBody(answer);
  return (
    errorTexts(body)?.length === 0 && isNothing(member(body, 'warnings')) && isNothing(member(body, 'data'))
  );
}

import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import { errorTexts, isNothing, parseAnswer } from './answer.ts';
import type { Command } from './client.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { encodePath } from './paths.ts';
import type { Session } from './session.ts';

/** A query that any identity with some access to the mount may send. */
export function mountQuery({ mount }: Pick<VaultConfig, 'mount'>): Command {
  const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
  return (vault, options) => vault.read(path, options);
}

/**
 * Resolves if the server confirms that the mount exists with the configured version. The request is always sent after
 * this call. Without this check, a 404 proves nothing. A version 1 mount that is read as version 2 responds as if the
 * key were missing, and a mount may have been replaced.
 * @throws AppError MOUNT_NOT_FOUND, ACCESS_DENIED, or the error of the failed request; the signal's reason once it is
 * aborted.
 */
export type ConfirmMount = (signal: AbortSignal | undefined) => Promise<void>;

export function createMountCheck(config: VaultConfig, session: Session): ConfirmMount {
  const query = mountQuery(config);
  const ask = async (): Promise<void> => {
    checkMount(config, await session.call('describe', query, undefined, false));
  };
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = ask();
    return running;
  };
  // A new caller does not share a running query, which the server may have answered before the caller's 404. All
  // callers that arrive meanwhile share the next query, so a thousand absent keys need only a few requests.
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
  // For a path below a mount, Vault returns the mount itself, so `path` must be compared. The path of a mount in a
  // child namespace includes the namespace.
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
 * Whether a 404 contains no further information, as for a path that does not exist. For a wrong mount, namespace or
 * engine version, Vault adds texts to `errors` or `warnings`.
 */
export function isBare404(answer: Answer): boolean {
  if (answer.status !== 404) return false;
  const body = parseJsonBody(answer);
  return (
    errorTexts(body)?.length === 0 && isNothing(member(body, 'warnings')) && isNothing(member(body, 'data'))
  );
}

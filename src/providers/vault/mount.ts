import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, tryParse } from '../answer.ts';
import { errorTexts, isNothing, parseAnswer } from './answer.ts';
import type { Command } from './client.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { encodePath } from './paths.ts';
import type { Session } from './session.ts';

/** What any identity may ask that may read something in the mount, whatever else it may not. */
export function askMount({ mount }: Pick<VaultConfig, 'mount'>): Command {
  const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
  return (vault, options) => vault.read(path, options);
}

/**
 * Resolves when the server says, asked after this call, that the mount exists and has the version that the
 * configuration names. Without that, a 404 proves nothing: a mount of version 1, read as version 2, answers exactly
 * like a missing key, and a mount may have been replaced since it was last looked at.
 * @throws AppError MOUNT_NOT_FOUND, ACCESS_DENIED, or whatever kept the server from answering; the signal's reason
 * once it is aborted.
 */
export type ConfirmMount = (signal: AbortSignal | undefined) => Promise<void>;

export function createMountCheck(config: VaultConfig, session: Session): ConfirmMount {
  const question = askMount(config);
  const ask = async (): Promise<void> => {
    checkMount(config, await session.call('describe', question, undefined, false));
  };
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = ask();
    return running;
  };
  // An answer under way may have left the server before the 404 did, so it serves nobody who comes now. All who come
  // meanwhile share the one after it: a thousand absent keys cost a few questions.
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
  // A path below a mount answers with that mount, so `path` must be the mount itself; that of a namespace below ours is
  // told with all of its path.
  const path = textOf(member(data, 'path'));
  const isOfNamespaceBelow = namespace !== undefined && path === `${namespace}/${mount}/`;
  if (path !== `${mount}/` && !isOfNamespaceBelow) throw missing('no such mount');
  if (type !== 'kv' && type !== 'generic') throw missing('the mount is not a key/value engine');
  const version = textOf(member(data, 'options', 'version')) === '2' ? 2 : 1;
  if (version !== kvVersion)
    throw missing(`the mount is of version ${version}, the configuration says ${kvVersion}`);
}

function missing(detail: string): AppError {
  return new AppError('MOUNT_NOT_FOUND', { detail });
}

/**
 * Whether a 404 is the bare one of a path that does not exist. A wrong mount, a wrong namespace and a path that
 * does not fit the engine's version come with texts in `errors` or `warnings`.
 */
export function isBare404(answer: Answer): boolean {
  if (answer.status !== 404) return false;
  const body = tryParse(answer);
  return (
    errorTexts(body)?.length === 0 && isNothing(member(body, 'warnings')) && isNothing(member(body, 'data'))
  );
}

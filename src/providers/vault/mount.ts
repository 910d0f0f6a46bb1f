import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { type Answer, errorTexts, isNothing, member, parseAnswer, textOf, tryParse } from './answer.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { encodePath } from './paths.ts';
import type { Session } from './session.ts';

/**
 * Resolves when the server says that the mount exists and has the version that the configuration names. Without
 * that, a 404 proves nothing: a mount of version 1, read as version 2, answers exactly like a missing key.
 * @throws AppError MOUNT_NOT_FOUND, ACCESS_DENIED, or whatever kept the server from answering.
 */
export type ConfirmMount = (signal: AbortSignal | undefined) => Promise<void>;

const CONFIRMED_MS = 60_000;

export function createMountCheck(config: VaultConfig, session: Session, clock: Clock): ConfirmMount {
  let confirmedAt = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    if (Math.abs(clock.now() - confirmedAt) < CONFIRMED_MS) return;
    const path = `sys/internal/ui/mounts/${encodePath(config.mount)}`;
    const answer = await session.call((vault, options) => vault.read(path, options), signal);
    checkMount(config, answer);
    confirmedAt = clock.now();
  };
}

function checkMount({ mount, kvVersion }: VaultConfig, answer: Answer): void {
  if (answer.status !== 200) throw fromStatus(answer);
  const data = member(parseAnswer(answer), 'data');
  const type = textOf(member(data, 'type'));
  // A path below a mount answers with that mount, so `path` must be the mount itself.
  if (type === undefined || textOf(member(data, 'path')) !== `${mount}/`) throw missing('no such mount');
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

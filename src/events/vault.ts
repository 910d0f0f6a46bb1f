import { AppError, isTransient, toAppError } from '../core/errors.ts';
import { sleepUntilAborted } from '../core/timer.ts';
import type { SecretProvider } from '../providers/provider.ts';
import { createBackoff } from './backoff.ts';
import type { Intake, IntakeDeps } from './hint.ts';

export interface VaultIntakeOptions {
  readonly name: string;
  /** The store whose events are received. */
  readonly store: string;
  /** Returns the store's provider, whose login the stream uses. Called again each time the stream has ended. */
  readonly open: () => Promise<Pick<SecretProvider, 'subscribe'>>;
  readonly random: () => number;
  /** Resolves after the time, or as soon as the signal is aborted. An aborted signal never causes a rejection. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The longest wait after an error that a retry cannot fix. */
const PERMANENT_ERROR_WAIT_MS = 120_000;

/**
 * Follows the event stream of a store until it is disposed, and reconnects whenever the stream ends. The next sweep
 * detects the changes that happened during an outage. Reading everything after each reconnect would cost most when the
 * store is already overloaded.
 */
export function startVaultIntake(options: VaultIntakeOptions, deps: IntakeDeps): Intake {
  const { name, store, open, random, pause: sleep = sleepUntilAborted } = options;
  const origin = { kind: 'vault', name } as const;
  const stopping = new AbortController();
  const { signal } = stopping;
  // Always wait a minimum time. Otherwise a server that accepts and then drops connections would be called in a tight
  // loop.
  const backoff = createBackoff({ random, minimumShare: 0.5, pause: sleep, signal });

  /** Whether the current stream has been working for a while. */
  let wasAlive = false;

  const listener = {
    onOpen: () => deps.onProgress(),
    // Do not reset the backoff in `onOpen`. Otherwise a stream that is cut right after opening would be retried at the
    // shortest wait forever.
    onAlive() {
      wasAlive = true;
      backoff.reset();
      deps.onProgress();
    },
    onMessage(key: string | undefined) {
      if (key === undefined) deps.onSkipped('ignored');
      else deps.submit([{ store, keys: [key] }], origin);
    },
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const provider = await open();
        if (provider.subscribe === undefined)
          throw new AppError('INTERNAL', { detail: 'the store has no event stream' });
        await provider.subscribe(listener, { signal });
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toAppError(thrown);
        // These ends are not failures: the stream was closed to reconnect with new credentials, or a working stream
        // ended. The server ends a stream when the token that opened it expires. The next attempt shows whether
        // anything is wrong.
        const isExpectedEnd =
          error.code === 'INTERRUPTED' || (wasAlive && error.code === 'STORE_UNAVAILABLE');
        wasAlive = false;
        deps.onProgress(isExpectedEnd ? undefined : error);
        await backoff.wait(error, isTransient(error.code) ? undefined : PERMANENT_ERROR_WAIT_MS);
      }
    }
  };
  const running = run();

  return {
    origin,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

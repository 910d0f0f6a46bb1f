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

/** The longest wait after an error, if a quick retry cannot fix the error. */
const PERMANENT_ERROR_WAIT_MS = 120_000;

/**
 * Follows the event stream of a store until the returned object is disposed. Reconnects whenever the stream ends. The
 * next sweep detects changes that happened during an outage. Changed keys are not read right after each reconnect,
 * because the reads would add load to a store that may already be overloaded.
 */
export function startVaultIntake(options: VaultIntakeOptions, deps: IntakeDeps): Intake {
  const { name, store, open, random, pause: sleep = sleepUntilAborted } = options;
  const origin = { kind: 'vault', name } as const;
  const stopping = new AbortController();
  const { signal } = stopping;
  // Always wait a minimum time before reconnecting. Otherwise, if a server accepted connections and then dropped them,
  // it would be called in a tight loop.
  const backoff = createBackoff({ random, minimumShare: 0.5, pause: sleep, signal });

  /** Whether the current stream has been working for a while. */
  let wasAlive = false;

  const listener = {
    onOpen: () => deps.onProgress(),
    // Do not reset the backoff in `onOpen`. Otherwise, if each stream broke right after it opened, each retry would
    // follow after the shortest wait.
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
        // Do not report an expected end as a failure. A stream ends as expected if it is closed to reconnect with new
        // credentials. The server also ends a working stream when the token that opened it expires. If something is
        // wrong, the next attempt fails.
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

import { AppError, healsItself, toAppError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { SecretProvider } from '../providers/provider.ts';
import { createBackoff } from './backoff.ts';
import type { Intake, IntakeDeps } from './hint.ts';

export interface VaultOptions {
  readonly name: string;
  /** The store whose events these are. */
  readonly store: string;
  /** Of the store: its login is shared. Asked again each time the stream has ended. */
  readonly open: () => Promise<Pick<SecretProvider, 'subscribe'>>;
  readonly random: () => number;
  /** Ends without an error when the signal says so. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a person must mend first is not tried at the pace of an outage. */
const SLOW_MS = 120_000;

/**
 * Follows the events of a store until it is disposed of, and begins again whenever the stream ends. What changes while
 * none stands is left to the sweep: to read everything anew after each cut would cost most when the store is ill.
 */
export function startVault(options: VaultOptions, deps: IntakeDeps): Intake {
  const { name, store, open, random, pause: rest = pause } = options;
  const origin = { kind: 'vault', name } as const;
  const ending = new AbortController();
  const { signal } = ending;
  // Never at once: a server that takes connections and drops them would be called without end.
  const backoff = createBackoff({ random, least: 0.5, pause: rest, signal });

  /** Whether the stream of now has stood for a while. */
  let stood = false;

  const listener = {
    onOpen: () => deps.onProgress(),
    // Not when it opens: one that is cut at once each time must not be called at the shortest wait for ever.
    onAlive() {
      stood = true;
      backoff.reset();
      deps.onProgress();
    },
    onMessage(key: string | undefined) {
      if (key === undefined) deps.onOther('ignored');
      else deps.take([{ store, keys: [key] }], origin);
    },
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const provider = await open();
        if (provider.subscribe === undefined)
          throw new AppError('INTERNAL', { detail: 'a store without events' });
        await provider.subscribe(listener, { signal });
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toAppError(thrown);
        // It was closed to be opened with other credentials, which is no failure. Nor is the end of one that stood: the
        // server ends it with the token that it was begun with. The next attempt tells whether anything is wrong.
        const isEnd = error.code === 'INTERRUPTED' || (stood && error.code === 'STORE_UNAVAILABLE');
        stood = false;
        deps.onProgress(isEnd ? undefined : error);
        await backoff.wait(error, healsItself(error.code) ? undefined : SLOW_MS);
      }
    }
  };
  const running = run();

  return {
    origin,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

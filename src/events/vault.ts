import { AppError, healsItself, toAppError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { SecretProvider } from '../providers/provider.ts';
import type { Intake, IntakeDeps } from './hint.ts';

export interface VaultOptions {
  readonly name: string;
  /** The store whose events these are. */
  readonly store: string;
  /** Of the store: its login is shared. Asked again each time the stream has ended. */
  readonly open: () => Promise<SecretProvider>;
  readonly random: () => number;
  /** Ends without an error when the signal says so. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const BACKOFF_MS = 1_000;
const MOST_BACKOFF_MS = 60_000;
/** What a person must mend first is not tried at the pace of an outage. */
const SLOW_MS = 120_000;
/** A server may say when to come again, but not that we should stand still. */
const MOST_WAIT_MS = 120_000;

/**
 * Follows the events of a store until it is disposed of, and begins again whenever the stream ends. What changes while
 * none stands is left to the sweep: to read everything anew after each cut would cost most when the store is ill.
 */
export function startVault(options: VaultOptions, deps: IntakeDeps): Intake {
  const { name, store, open, random, pause: rest = pause } = options;
  const origin = { kind: 'vault', name } as const;
  const ending = new AbortController();
  const { signal } = ending;
  let failures = 0;

  const listener = {
    onOpen: () => deps.onProgress(),
    // Not when it opens: one that is cut at once each time must not be called at the shortest wait for ever.
    onAlive() {
      failures = 0;
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
        // It was closed to be opened with other credentials, which is no failure.
        deps.onProgress(error.code === 'INTERRUPTED' ? undefined : error);
        const most = healsItself(error.code)
          ? Math.min(MOST_BACKOFF_MS, BACKOFF_MS * 2 ** failures)
          : SLOW_MS;
        failures = Math.min(failures + 1, 10);
        // Never at once: a server that takes connections and drops them would be called without end.
        const backoff = most / 2 + (random() * most) / 2;
        await rest(Math.min(MOST_WAIT_MS, Math.max(backoff, error.retryAfterMs ?? 0)), signal);
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

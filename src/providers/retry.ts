import { DelegateBackoff, handleWhenResult, type IRetryBackoffContext, retry } from 'cockatiel';
import { unlessAborted } from '../core/abort.ts';
import { type AppError, isTransient } from '../core/errors.ts';
import { largest } from '../core/lists.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { CallOptions, SecretProvider } from './provider.ts';
import { settle } from './results.ts';
import { MAX_CALL_WAIT_MS } from './slowdown.ts';

export interface RetryOptions {
  /**
   * Whether calls to the store are made at the moment. If not, no retry is made, because its wait would block a worker
   * for nothing.
   */
  readonly mayRetry?: () => boolean;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** The maximum number of attempts after the first one. */
const MAX_RETRIES = 2;
const FIRST_WAIT_MS = 250;
/** After this much time, no further attempt is made, for example if each attempt times out. */
const MAX_TOTAL_MS = 20_000;

/**
 * Adds retries to a provider. Repeats only reads and searches that failed and may succeed later, with exponential
 * backoff and full jitter. Waits at least as long as `Retry-After` requires. Does not repeat `versions`, because
 * callers can do without it. Does not repeat `check`, because it must report the real state.
 */
export function withRetry(provider: SecretProvider, options: RetryOptions = {}): SecretProvider {
  return {
    ...provider,
    async read(refs, call) {
      const results: ReadResult[] = [];
      let open = refs.map((ref, index) => ({ ref, index }));
      await retryFailures(options, call, async () => {
        const answers = await provider.read(
          open.map(({ ref }) => ref),
          call,
        );
        for (const [at, answer] of answers.entries()) results[open[at]?.index ?? at] = answer;
        open = open.filter(({ index }) => retryableError(results[index]) !== undefined);
        return open.flatMap(({ index }) => retryableError(results[index]) ?? []);
      });
      return results;
    },
    async find(query, call) {
      let found: Awaited<ReturnType<typeof settle<readonly string[]>>> = { value: [] };
      await retryFailures(options, call, async () => {
        found = await settle(provider.find(query, call));
        return 'error' in found && isRetryable(found.error) ? [found.error] : [];
      });
      if ('error' in found) throw found.error;
      return found.value;
    },
  };
}

/** @param attempt Makes one attempt. Returns the errors that another attempt may avoid. */
async function retryFailures(
  { mayRetry = () => true, random = Math.random }: RetryOptions,
  { signal }: CallOptions = {},
  attempt: () => Promise<readonly AppError[]>,
): Promise<void> {
  const startedAt = performance.now();
  const isOpen = (errors: unknown): boolean =>
    (errors as readonly AppError[]).length > 0 && mayRetry() && performance.now() - startedAt < MAX_TOTAL_MS;
  const waitBefore = ({ attempt: count, result }: IRetryBackoffContext<unknown>): number => {
    const errors = 'value' in result ? (result.value as readonly AppError[]) : [];
    const backoff = random() * FIRST_WAIT_MS * 2 ** count;
    return Math.max(backoff, largest(errors.map(({ retryAfterMs = 0 }) => retryAfterMs)));
  };
  const retries = retry(handleWhenResult(isOpen), {
    maxAttempts: MAX_RETRIES,
    backoff: new DelegateBackoff(waitBefore),
  });
  const work = async (): Promise<readonly AppError[]> => {
    signal?.throwIfAborted();
    return attempt();
  };
  // When the signal is aborted, cockatiel does not end its wait.
  await unlessAborted(retries.execute(work), signal);
}

function retryableError(result: ReadResult | undefined): AppError | undefined {
  return result?.kind === 'failed' && isRetryable(result.error) ? result.error : undefined;
}

function isRetryable({ code, retryAfterMs = 0 }: AppError): boolean {
  return isTransient(code) && code !== 'INTERNAL' && retryAfterMs <= MAX_CALL_WAIT_MS;
}

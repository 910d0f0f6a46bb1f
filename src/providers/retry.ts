import type { Clock } from '../core/clock.ts';
import { type AppError, isTransient } from '../core/errors.ts';
import type { SourceRef } from '../core/read-result.ts';
import type { SecretProvider } from './provider.ts';
import { settle } from './settle.ts';
import { MAX_CALL_WAIT_MS as LONGEST_WAIT_MS } from './throttle.ts';
import { type Sleep, systemSleep } from './timing.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly sleep?: Sleep;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
  /** Whether calls are currently made. If not, waiting for a retry would only block a worker. */
  readonly mayRetry?: () => boolean;
}

/** The maximum number of attempts, including the first one. */
const MAX_ATTEMPTS = 3;
const FIRST_WAIT_MS = 250;
/** No further attempt is made after this much time, for example if each attempt times out. */
const MAX_TOTAL_MS = 20_000;

interface Failed {
  readonly error: AppError;
  readonly index: number;
  readonly ref: SourceRef;
}

/**
 * Retries only transient failures, with exponential backoff and full jitter. Respects `Retry-After`. `versions` is not
 * retried because it is only a hint, and `check` is not retried because it must report the real state.
 */
export function withRetry(provider: SecretProvider, options: RetryOptions): SecretProvider {
  return {
    async read(refs, call) {
      const startedAt = options.clock.now();
      const results = [...(await provider.read(refs, call))];
      const failures = (): readonly Failed[] =>
        results.flatMap((result, index) => {
          const ref = refs[index];
          const isOpen = result.kind === 'failed' && ref !== undefined && isRetryable(result.error);
          return isOpen ? [{ error: result.error, index, ref }] : [];
        });
      const readAgain = async (failed: readonly Failed[]) => {
        const refsToRetry = failed.map(({ ref }) => ref);
        for (const [at, result] of (await provider.read(refsToRetry, call)).entries()) {
          const index = failed[at]?.index;
          if (index !== undefined) results[index] = result;
        }
      };
      await tryAgain(options, { startedAt, signal: call?.signal }, failures, async (failed) => {
        const [few, rest] = takeSample(failed);
        await readAgain(few);
        // Retry a sample first. A store that still has problems then does not get thousands of requests.
        const better = few.some(({ index }) => !failures().some((failure) => failure.index === index));
        if (better && rest.length > 0) await readAgain(rest);
      });
      return results;
    },
    async find(query, call) {
      const startedAt = options.clock.now();
      let result = await settle(provider.find(query, call));
      const failures = () => ('error' in result && isRetryable(result.error) ? [result] : []);
      await tryAgain(options, { startedAt, signal: call?.signal }, failures, async () => {
        result = await settle(provider.find(query, call));
      });
      if ('error' in result) throw result.error;
      return result.value;
    },
    versions: (keys, call) => provider.versions(keys, call),
    check: (call) => provider.check(call),
    probe: (call) => provider.probe(call),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

async function tryAgain<Failure extends { readonly error: AppError }>(
  { clock, sleep = systemSleep, random = Math.random, mayRetry = () => true }: RetryOptions,
  { startedAt, signal }: { readonly startedAt: number; readonly signal: AbortSignal | undefined },
  failures: () => readonly Failure[],
  ask: (failed: readonly Failure[]) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt += 1) {
    const failed = failures();
    if (failed.length === 0 || !mayRetry()) return;
    const backoff = random() * Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
    const wait = Math.max(backoff, ...failed.map(({ error }) => error.retryAfterMs ?? 0));
    if (clock.now() - startedAt + wait > MAX_TOTAL_MS) return;
    await sleep(wait, signal);
    await ask(failed);
  }
}

/** Takes the first, middle and last item, because a single key may be the only slow one. */
function takeSample<T>(all: readonly T[]): readonly [few: readonly T[], rest: readonly T[]] {
  const few = new Set([0, Math.floor(all.length / 2), all.length - 1]);
  return [all.filter((_, index) => few.has(index)), all.filter((_, index) => !few.has(index))];
}

function isRetryable({ code, retryAfterMs = 0 }: AppError): boolean {
  return isTransient(code) && code !== 'INTERNAL' && retryAfterMs <= LONGEST_WAIT_MS;
}

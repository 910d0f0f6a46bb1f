import type { Clock } from '../core/clock.ts';
import { type AppError, healsItself } from '../core/errors.ts';
import type { SecretProvider, SourceRef } from './provider.ts';
import { settle } from './settle.ts';
import { PATIENCE_MS as LONGEST_WAIT_MS } from './throttle.ts';
import { type Sleep, systemSleep } from './timing.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly sleep?: Sleep;
  /** At least 0, below 1. */
  readonly random?: () => number;
  /** Whether calls are made at all for now: while none is, waiting for another attempt only holds a worker. */
  readonly isAsked?: () => boolean;
}

/** All together, the first included. */
const ATTEMPTS = 3;
const FIRST_WAIT_MS = 250;
/** No further attempt once this much time has gone by, as it does when each attempt ends by its timeout. */
const PATIENCE_MS = 20_000;

interface Failed {
  readonly error: AppError;
  readonly index: number;
  readonly ref: SourceRef;
}

/**
 * Asks again for what failed and may mend itself, and for nothing else: exponential backoff with full jitter,
 * and not before the time that the store named (`Retry-After`). `versions` is a hint and `check` wants the plain
 * truth, so both ask once.
 */
export function withRetry(provider: SecretProvider, options: RetryOptions): SecretProvider {
  return {
    async read(refs, call) {
      const startedAt = options.clock.now();
      const results = [...(await provider.read(refs, call))];
      const failures = (): readonly Failed[] =>
        results.flatMap((result, index) => {
          const ref = refs[index];
          const isOpen = result.kind === 'failed' && ref !== undefined && maySucceed(result.error);
          return isOpen ? [{ error: result.error, index, ref }] : [];
        });
      const readAgain = async (failed: readonly Failed[]) => {
        const wanted = failed.map(({ ref }) => ref);
        for (const [at, result] of (await provider.read(wanted, call)).entries()) {
          const index = failed[at]?.index;
          if (index !== undefined) results[index] = result;
        }
      };
      await tryAgain(options, { startedAt, signal: call?.signal }, failures, async (failed) => {
        const [few, rest] = split(failed);
        await readAgain(few);
        // A store that is still in trouble is not asked for the other thousand.
        const better = few.some(({ index }) => !failures().some((failure) => failure.index === index));
        if (better && rest.length > 0) await readAgain(rest);
      });
      return results;
    },
    async find(query, call) {
      const startedAt = options.clock.now();
      let result = await settle(provider.find(query, call));
      const failures = () => ('error' in result && maySucceed(result.error) ? [result] : []);
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
  { clock, sleep = systemSleep, random = Math.random, isAsked = () => true }: RetryOptions,
  { startedAt, signal }: { readonly startedAt: number; readonly signal: AbortSignal | undefined },
  failures: () => readonly Failure[],
  ask: (failed: readonly Failure[]) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
    const failed = failures();
    if (failed.length === 0 || !isAsked()) return;
    const backoff = random() * Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
    const wait = Math.max(backoff, ...failed.map(({ error }) => error.retryAfterMs ?? 0));
    if (clock.now() - startedAt + wait > PATIENCE_MS) return;
    await sleep(wait, signal);
    await ask(failed);
  }
}

/** From the beginning, the middle and the end: one key may be the only one that is slow. */
function split<T>(all: readonly T[]): readonly [few: readonly T[], rest: readonly T[]] {
  const few = new Set([0, Math.floor(all.length / 2), all.length - 1]);
  return [all.filter((_, index) => few.has(index)), all.filter((_, index) => !few.has(index))];
}

function maySucceed({ code, retryAfterMs = 0 }: AppError): boolean {
  return healsItself(code) && code !== 'INTERNAL' && retryAfterMs <= LONGEST_WAIT_MS;
}

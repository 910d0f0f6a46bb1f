import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { AppError, healsItself } from '../core/errors.ts';
import { unlessAborted } from './abort.ts';
import { type BreakerOptions, createBreaker, USUAL } from './breaker.ts';
import { createRate, createSlots } from './pace.ts';
import type { ProviderDeps, SecretProvider, SourceRef } from './provider.ts';

/** Resolves after the time, or rejects with the signal's reason. */
export type Sleep = (ms: number, signal: AbortSignal | undefined) => Promise<void>;

export interface LimiterOptions {
  /** Of one process. */
  readonly requestsPerSecond: number;
  readonly concurrency: number;
  /** For one call, from its start: waiting for its turn does not count. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly sleep?: Sleep;
  /** Aborts after the time with an AppError TIMEOUT; `stop` when the call has ended. */
  readonly deadline?: (ms: number) => Deadline;
  readonly breaker?: BreakerOptions;
}

export interface Deadline {
  readonly signal: AbortSignal;
  stop(): void;
}

/**
 * The `limit` of `ProviderDeps`: calls start in their order, neither too many at a time nor too fast, and not at all
 * for a while when the store does not answer.
 */
export function createLimiter(options: LimiterOptions): ProviderDeps['limit'] {
  const { concurrency, timeoutMs, clock, sleep = systemSleep, deadline = systemDeadline } = options;
  const slots = createSlots(concurrency);
  const nextTurn = createRate(options.requestsPerSecond, clock);
  const breaker = createBreaker(clock, options.breaker ?? USUAL);

  const run = async <T>(
    call: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> => {
    const limit = deadline(timeoutMs);
    let failure: unknown;
    try {
      const both = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
      // A call that ignores its signal must not hold the slot for ever.
      return await unlessAborted(call(both), both);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      limit.stop();
      breaker.leave(failure);
    }
  };

  return async (call, signal) => {
    await slots.take(signal);
    try {
      const wait = nextTurn();
      if (wait > 0) await sleep(wait, signal);
      breaker.enter();
      return await run(call, signal);
    } finally {
      slots.give();
    }
  };
}

export interface RetryOptions {
  readonly clock: Clock;
  /** All attempts together, the first included. */
  readonly attempts?: number;
  readonly sleep?: Sleep;
  /** At least 0, below 1. */
  readonly random?: () => number;
}

const FIRST_WAIT_MS = 250;
/** Longer waits are the queue's business: a run does not sit there holding a worker. */
const LONGEST_WAIT_MS = 5_000;
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
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

async function tryAgain<Failure extends { readonly error: AppError }>(
  { clock, attempts = 3, sleep = systemSleep, random = Math.random }: RetryOptions,
  { startedAt, signal }: { readonly startedAt: number; readonly signal: AbortSignal | undefined },
  failures: () => readonly Failure[],
  ask: (failed: readonly Failure[]) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; attempt < attempts; attempt += 1) {
    const failed = failures();
    if (failed.length === 0) return;
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

async function settle<T>(promise: Promise<T>): Promise<{ readonly value: T } | { readonly error: AppError }> {
  try {
    return { value: await promise };
  } catch (error) {
    if (error instanceof AppError) return { error };
    throw error;
  }
}

export async function systemSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleepFor(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted(); // Node rejects with an error of its own, not with the signal's reason
    throw error;
  }
}

function systemDeadline(ms: number): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new AppError('TIMEOUT')), ms);
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}

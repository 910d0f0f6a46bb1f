import { AsyncLocalStorage } from 'node:async_hooks';
import { unlessAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { AppError } from '../core/errors.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import { createSemaphore } from '../core/semaphore.ts';
import type { Breaker, CallResult } from './breaker.ts';
import type { FailureOf, Operation, ProviderDeps, Settled } from './provider.ts';
import { thrownError } from './settle.ts';
import type { Throttle } from './throttle.ts';
import { type MakeDeadline, type Sleep, systemDeadline, systemSleep } from './timing.ts';

/** One completed request. */
export interface CallReport {
  readonly operation: Operation;
  readonly outcome: 'ok' | ErrorCode;
  /** The duration in milliseconds, without the wait for a permit. */
  readonly ms: number;
}

export interface LimiterOptions {
  /** The maximum rate of this process. */
  readonly requestsPerSecond: number;
  readonly concurrency: number;
  /** The timeout of one call, without the wait for a permit. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly sleep?: Sleep;
  readonly deadline?: MakeDeadline;
  readonly breaker?: Breaker;
  readonly throttle?: Throttle;
  readonly onCall?: (report: CallReport) => void;
}

export interface Limiter {
  readonly limit: ProviderDeps['limit'];
  /** Rejects all calls that wait for a permit. */
  clear(reason: AppError): void;
}

/** A probe must give a result quickly, and it does not wait for a permit. */
const PROBE_MS = 5_000;
const probeContext = new AsyncLocalStorage<true>();

/** Calls inside `work` are sent at once. They bypass all limits and do not affect the breaker and the throttle. */
export function runAsProbe<T>(work: () => Promise<T>): Promise<T> {
  return probeContext.run(true, work);
}

/**
 * Creates the `limit` function of `ProviderDeps`. Calls start in order, within the limits for concurrency and rate.
 * They are delayed while the store asks us to slow down, and skipped while it does not respond.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const { concurrency, clock, sleep = systemSleep, deadline = systemDeadline, breaker, throttle } = options;
  const semaphore = createSemaphore(concurrency);
  const nextDelay = createRateLimiter({
    perSecond: () => options.requestsPerSecond * (throttle?.share() ?? 1),
    // A tenth of the rate, because a larger burst could double the load in the first second.
    burst: (perSecond) => perSecond / 10,
    clock,
  });

  const check = () => {
    breaker?.check();
    throttle?.check();
  };
  const waitForRateLimit = async (signal: AbortSignal | undefined): Promise<void> => {
    // Check again after each sleep, because the pause may have been extended.
    for (let wait = throttle?.wait() ?? 0; wait > 0; wait = throttle?.wait() ?? 0) {
      throttle?.check();
      await sleep(Math.ceil(wait), signal);
    }
    const wait = nextDelay();
    if (wait > 0) await sleep(wait, signal);
  };

  const run = async <T>(
    call: Call<T>,
    timeoutMs: number,
    report: (result: CallResult) => void,
  ): Promise<T> => {
    const { send, signal, operation, failureOf } = call;
    const timer = deadline(timeoutMs);
    const startedAt = clock.now();
    let settled: Settled<T>;
    try {
      const combinedSignal = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
      // Stop waiting for a call that ignores its signal, because it would hold its permit forever.
      settled = { value: await unlessAborted(send(combinedSignal), combinedSignal) };
    } catch (error) {
      settled = { error };
    } finally {
      timer.stop();
    }
    const result = resultOf(settled, signal, failureOf);
    report(result);
    const outcome = result === undefined ? 'ok' : result === 'interrupted' ? 'INTERRUPTED' : result.code;
    options.onCall?.({ operation, outcome, ms: Math.max(0, clock.now() - startedAt) });
    if ('error' in settled) throw settled.error;
    return settled.value;
  };

  return {
    async limit(send, signal, operation = 'other', failureOf = thrownError) {
      const call = { send, signal, operation, failureOf };
      if (probeContext.getStore()) {
        const probe = { ...call, operation: 'probe' as const };
        return run(probe, Math.min(PROBE_MS, options.timeoutMs), () => undefined);
      }
      const runLimited = async () => {
        check();
        await waitForRateLimit(signal);
        const reportToBreaker = await breaker?.enter(signal);
        const startEpoch = throttle?.begin() ?? 0;
        return run(call, options.timeoutMs, (result) => {
          if (result !== 'interrupted') throttle?.record(result, startEpoch);
          reportToBreaker?.(result);
        });
      };
      check();
      return semaphore.run(runLimited, { signal });
    },
    clear: (reason) => semaphore.rejectWaiters(reason),
  };
}

interface Call<T> {
  readonly send: (signal: AbortSignal) => Promise<T>;
  readonly signal: AbortSignal | undefined;
  readonly operation: Operation;
  readonly failureOf: FailureOf<T>;
}

function resultOf<T>(
  settled: Settled<T>,
  signal: AbortSignal | undefined,
  failureOf: FailureOf<T>,
): CallResult {
  if ('error' in settled && signal?.aborted && settled.error === signal.reason) return 'interrupted';
  return failureOf(settled);
}

import { AsyncLocalStorage } from 'node:async_hooks';
import PQueue from 'p-queue';
import { unlessAborted } from '../core/abort.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import { type Breaker, type CallResult, createBreaker } from './breaker.ts';
import type { FailureOf, Operation, ProviderDeps, Settled } from './provider.ts';
import { settle, thrownError } from './results.ts';
import { createSlowdown, MAX_CALL_WAIT_MS, type Slowdown } from './slowdown.ts';
import { type MakeDeadline, systemDeadline, systemSleep } from './timing.ts';

/** One completed request. */
export interface CallReport {
  readonly operation: Operation;
  readonly outcome: 'ok' | ErrorCode;
  /** The duration in milliseconds, without the wait for a permit. */
  readonly ms: number;
}

export interface StoreLimits {
  /** The maximum rate of this process. */
  readonly requestsPerSecond: number;
  readonly concurrency: number;
  /** The timeout of one request, without the wait for a permit. */
  readonly timeoutMs: number;
}

export interface StorePolicyOptions {
  readonly limits: StoreLimits;
  /**
   * A cheap call that checks whether the store responds. Without a probe, the limits still apply, but requests to a
   * failing or throttling store are neither slowed down nor stopped.
   */
  readonly probe?: () => Promise<unknown>;
  readonly onCall?: (report: CallReport) => void;
  /** Called when `outage` or `trouble` may have changed. */
  readonly onChange?: () => void;
  readonly deadline?: MakeDeadline;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** The rules for all requests to one store: rate, concurrency, timeout, circuit breaker and slowdown. */
export interface StorePolicy extends Disposable {
  readonly limit: ProviderDeps['limit'];
  /** The reason why no requests are made. Undefined while requests are made. */
  readonly outage: AppError | undefined;
  /** The error that caused a slowdown, or the last error if several answers in a row are missing. */
  readonly trouble: AppError | undefined;
}

/** A probe must give a result quickly, and it does not wait for a permit. */
const PROBE_MS = 5_000;
const probeContext = new AsyncLocalStorage<true>();

interface Request<T> {
  readonly send: (signal: AbortSignal) => Promise<T>;
  readonly signal: AbortSignal | undefined;
  readonly operation: Operation;
  readonly failureOf: FailureOf<T>;
}

interface EndedRequest<T> extends CallResult {
  readonly settled: Settled<T>;
}

/**
 * Requests start in order, within the limits for concurrency and rate. They wait while the store asks for a short
 * pause. They are rejected immediately during a longer pause, and while the store does not respond.
 */
export function createStorePolicy(options: StorePolicyOptions): StorePolicy {
  const { limits, random = Math.random, onChange = () => undefined } = options;
  const queue = new PQueue({ concurrency: limits.concurrency });
  // The rate limiter of p-queue would block all requests for an hour after the clock was set back by an hour.
  const nextDelay = createRateLimiter({
    perSecond: () => limits.requestsPerSecond,
    // A tenth of the rate, because a larger burst could double the load in the first second.
    burst: (perSecond) => perSecond / 10,
    clock: { now: () => performance.now() },
  });
  const send = createSender(options);
  const trouble = options.probe === undefined ? undefined : watchTrouble(options.probe);

  function watchTrouble(probe: () => Promise<unknown>): { breaker: Breaker; slowdown: Slowdown } {
    const slowdown = createSlowdown(queue, random);
    const breaker = createBreaker({
      probe: async () => {
        const ended = await settle(probeContext.run(true, probe));
        return { failure: 'error' in ended ? ended.error : undefined };
      },
      onChange: () => {
        if (breaker.refusal !== undefined) queue.clear();
        onChange();
      },
      random,
    });
    return { breaker, slowdown };
  }
  const refusal = () => trouble?.breaker.refusal ?? trouble?.slowdown.refusal;
  const throwIfRefused = () => {
    const refused = refusal();
    if (refused !== undefined) throw refused;
  };
  const waitForTurn = async (signal: AbortSignal | undefined): Promise<void> => {
    const wait = nextDelay();
    if (wait > 0) await systemSleep(wait, signal);
    // Another request may have caused a pause meanwhile.
    const pause = trouble?.slowdown.remainingMs ?? 0;
    if (pause > 0 && pause <= MAX_CALL_WAIT_MS) await systemSleep(pause, signal);
    throwIfRefused();
  };
  const sendInTurn = async <T>(request: Request<T>): Promise<EndedRequest<T>> => {
    await waitForTurn(request.signal);
    const call = () => send(request, limits.timeoutMs);
    if (trouble === undefined) return call();
    const round = trouble.slowdown.round;
    const ended = await trouble.breaker.execute(call);
    if (trouble.slowdown.record(ended.failure, round)) onChange();
    return ended;
  };
  return {
    async limit(call, signal, operation = 'other', failureOf = thrownError) {
      const request = { send: call, signal, operation, failureOf };
      if (probeContext.getStore())
        return resultOf(await send({ ...request, operation: 'probe' }, Math.min(PROBE_MS, limits.timeoutMs)));
      throwIfRefused();
      let isStarted = false;
      const work = () => {
        isStarted = true;
        return sendInTurn(request);
      };
      try {
        return resultOf(await queue.add(work, signal === undefined ? {} : { signal }));
      } catch (thrown) {
        if (isStarted || signal?.aborted) throw thrown;
        // The queue was cleared.
        throw refusal() ?? new AppError('INTERRUPTED', { detail: 'the store was closed', cause: thrown });
      }
    },
    get outage() {
      return trouble?.breaker.refusal && trouble.breaker.error;
    },
    get trouble() {
      return trouble?.slowdown.error ?? trouble?.breaker.error;
    },
    [Symbol.dispose]() {
      trouble?.breaker[Symbol.dispose]();
      trouble?.slowdown[Symbol.dispose]();
      queue.clear();
    },
  };
}

/**
 * Sends single requests with our own timeout. SDKs pass on the reason of an abort, and the timeouts of cockatiel and
 * p-queue would give a reason other than our error.
 */
function createSender({ deadline = systemDeadline, onCall }: StorePolicyOptions) {
  return async <T>(request: Request<T>, timeoutMs: number): Promise<EndedRequest<T>> => {
    const { send, signal, operation, failureOf } = request;
    const timer = deadline(timeoutMs);
    const startedAt = performance.now();
    let settled: Settled<T>;
    try {
      const combined = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
      // Stop waiting for a call that ignores its signal, because it would hold its permit forever.
      settled = { value: await unlessAborted(send(combined), combined) };
    } catch (error) {
      settled = { error };
    } finally {
      timer.stop();
    }
    const isInterrupted = signal?.aborted === true && 'error' in settled && settled.error === signal.reason;
    const failure = isInterrupted ? undefined : failureOf(settled);
    const outcome = isInterrupted ? 'INTERRUPTED' : (failure?.code ?? 'ok');
    onCall?.({ operation, outcome, ms: performance.now() - startedAt });
    if (isInterrupted) throw signal.reason;
    return { settled, failure };
  };
}

function resultOf<T>({ settled }: EndedRequest<T>): T {
  if ('error' in settled) throw settled.error;
  return settled.value;
}

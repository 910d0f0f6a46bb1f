import { AsyncLocalStorage } from 'node:async_hooks';
import PQueue from 'p-queue';
import { unlessAborted } from '../core/abort.ts';
import { measureBusyShare } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import { AdaptiveRate } from './adaptive-rate.ts';
import { Breaker, type CallResult } from './breaker.ts';
import type { FailureOf, Operation, ProviderDeps, Settled } from './provider.ts';
import { settle, thrownError } from './results.ts';
import { createSlowdown, type Slowdown } from './slowdown.ts';
import { type MakeDeadline, systemDeadline, systemSleep } from './timing.ts';

/** Reports one request that has ended. */
export interface CallReport {
  readonly operation: Operation;
  readonly outcome: 'ok' | ErrorCode;
  /** The duration in milliseconds. It does not include the wait for a permit. */
  readonly ms: number;
}

export interface StoreLimits {
  /** The highest rate of the requests of this process. The rate is lower while the store shows signs of overload. */
  readonly requestsPerSecond: number;
  readonly concurrency: number;
  /** The timeout of one request. It does not include the wait for a permit. */
  readonly timeoutMs: number;
}

export interface StorePolicyOptions {
  readonly limits: StoreLimits;
  /**
   * Checks with a cheap call whether the store responds. Without a probe, the limits still apply, but a failing or
   * throttling store does not slow down or stop requests.
   */
  readonly probe?: () => Promise<unknown>;
  readonly onCall?: (report: CallReport) => void;
  /** Called when `outage` or `trouble` may have changed. */
  readonly onChange?: () => void;
  readonly deadline?: MakeDeadline;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** The rules for all requests to one store: adaptive rate, concurrency, timeout, circuit breaker and slowdown. */
export interface StorePolicy extends Disposable {
  readonly limit: ProviderDeps['limit'];
  /** The reason why no requests are made. Undefined while requests are made. */
  readonly outage: AppError | undefined;
  /** The error that caused a slowdown. After several missing answers in a row, the last error. */
  readonly trouble: AppError | undefined;
}

/** The timeout of a probe. It is short, because a probe must give a result quickly and does not wait for a permit. */
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
  readonly ms: number;
}

/**
 * Creates the rules for one store. Requests start in order, within the limits for concurrency and rate. During a short
 * pause that the store asks for, they wait. During a longer pause, or while the store does not respond, they are
 * rejected immediately.
 */
export function createStorePolicy(options: StorePolicyOptions): StorePolicy {
  return new QueuedPolicy(options);
}

class QueuedPolicy implements StorePolicy {
  readonly #options: StorePolicyOptions;
  readonly #queue: PQueue;
  readonly #rate: AdaptiveRate;
  readonly #nextDelay: () => number;
  readonly #guard: { readonly breaker: Breaker; readonly slowdown: Slowdown } | undefined;

  constructor(options: StorePolicyOptions) {
    const { limits, probe, random = Math.random } = options;
    this.#options = options;
    this.#queue = new PQueue({ concurrency: limits.concurrency });
    const now = () => performance.now();
    this.#rate = new AdaptiveRate({ maximum: limits.requestsPerSecond, now, busyShare: measureBusyShare() });
    // p-queue has a rate limiter, but it would block all requests for an hour after the clock was set back by an hour.
    this.#nextDelay = createRateLimiter({
      perSecond: () => this.#rate.perSecond,
      // Only a tenth of the rate, because a larger burst could double the number of requests in the first second.
      burst: (perSecond) => perSecond / 10,
      clock: { now },
    });
    this.#guard = probe && {
      slowdown: createSlowdown(this.#queue, this.#rate, random),
      breaker: new Breaker({
        probe: () => resultOfProbe(probe),
        onChange: () => this.#handleBreakerChange(),
        random,
      }),
    };
  }

  get outage(): AppError | undefined {
    return this.#guard?.breaker.refusal && this.#guard.breaker.error;
  }

  get trouble(): AppError | undefined {
    return this.#guard?.slowdown.error ?? this.#guard?.breaker.error;
  }

  /** An arrow function instead of a method, because callers pass it on without the policy. */
  readonly limit: StorePolicy['limit'] = async (
    send,
    signal,
    operation = 'other',
    failureOf = thrownError,
  ) => {
    const request = { send, signal, operation, failureOf };
    const { timeoutMs } = this.#options.limits;
    if (probeContext.getStore())
      return resultOf(await this.#send({ ...request, operation: 'probe' }, Math.min(PROBE_MS, timeoutMs)));
    this.#throwIfRefused();
    let isStarted = false;
    const work = () => {
      isStarted = true;
      return this.#sendInTurn(request);
    };
    try {
      return resultOf(await this.#queue.add(work, signal === undefined ? {} : { signal }));
    } catch (thrown) {
      if (isStarted || signal?.aborted) throw thrown;
      // The queue rejected the waiting request because it was cleared.
      throw this.#refusal() ?? new AppError('INTERRUPTED', { detail: 'the store was closed', cause: thrown });
    }
  };

  [Symbol.dispose](): void {
    this.#guard?.breaker[Symbol.dispose]();
    this.#guard?.slowdown[Symbol.dispose]();
    this.#queue.clear();
  }

  #handleBreakerChange(): void {
    if (this.#guard?.breaker.refusal !== undefined) this.#queue.clear();
    this.#options.onChange?.();
  }

  #refusal(): AppError | undefined {
    return this.#guard?.breaker.refusal ?? this.#guard?.slowdown.refusal;
  }

  #throwIfRefused(): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
  }

  async #sendInTurn<T>(request: Request<T>): Promise<EndedRequest<T>> {
    await this.#waitForTurn(request.signal);
    const call = () => this.#send(request, this.#options.limits.timeoutMs);
    if (this.#guard === undefined) return call();
    const { breaker, slowdown } = this.#guard;
    const { round } = slowdown;
    const ended = await breaker.execute(call);
    const readMs = request.operation === 'read' ? ended.ms : undefined;
    if (slowdown.record(ended.failure, round, readMs)) this.#options.onChange?.();
    return ended;
  }

  async #waitForTurn(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      const wait = this.#nextDelay();
      if (wait > 0) await systemSleep(wait, signal);
      this.#throwIfRefused();
      const pause = this.#guard?.slowdown.remainingMs ?? 0;
      if (pause === 0) return;
      // While this request waited, another request caused a pause. Then take a new turn, at the lower rate.
      await systemSleep(pause, signal);
    }
  }

  /**
   * Sends a request with our own timeout, which gives our own error as the reason. The timeouts of cockatiel and
   * p-queue would give another error.
   */
  async #send<T>(
    { send, signal, operation, failureOf }: Request<T>,
    timeoutMs: number,
  ): Promise<EndedRequest<T>> {
    const { deadline = systemDeadline, onCall } = this.#options;
    const timer = deadline(timeoutMs);
    const startedAt = performance.now();
    let settled: Settled<T>;
    try {
      const combined = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
      // Stop waiting for a call that ignores its signal. Otherwise the call would keep its permit forever.
      settled = { value: await unlessAborted(send(combined), combined) };
    } catch (error) {
      settled = { error };
    } finally {
      timer.stop();
    }
    const isInterrupted = signal?.aborted === true && 'error' in settled && settled.error === signal.reason;
    const failure = isInterrupted ? undefined : failureOf(settled);
    const outcome = isInterrupted ? 'INTERRUPTED' : (failure?.code ?? 'ok');
    const ms = performance.now() - startedAt;
    onCall?.({ operation, outcome, ms });
    if (isInterrupted) throw signal.reason;
    return { settled, failure, ms };
  }
}

async function resultOfProbe(probe: () => Promise<unknown>): Promise<CallResult> {
  const ended = await settle(probeContext.run(true, probe));
  return { failure: 'error' in ended ? ended.error : undefined };
}

function resultOf<T>({ settled }: EndedRequest<T>): T {
  if ('error' in settled) throw settled.error;
  return settled.value;
}

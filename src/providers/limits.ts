import { AsyncLocalStorage } from 'node:async_hooks';
import { unlessAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { AppError } from '../core/errors.ts';
import { createRate } from '../core/rate.ts';
import { createSlots } from '../core/slots.ts';
import type { Breaker, Ending } from './breaker.ts';
import type { Ended, FailureOf, Operation, ProviderDeps } from './provider.ts';
import { thrownError } from './settle.ts';
import type { Throttle } from './throttle.ts';
import { type MakeDeadline, type Sleep, systemDeadline, systemSleep } from './timing.ts';

/** One request that was made, with how long its answer took. */
export interface CallReport {
  readonly operation: Operation;
  readonly outcome: 'ok' | ErrorCode;
  /** Milliseconds, without the wait for its turn. */
  readonly ms: number;
}

export interface LimiterOptions {
  /** Of one process. */
  readonly requestsPerSecond: number;
  readonly concurrency: number;
  /** For one call, from its start: waiting for its turn does not count. */
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
  /** Turns away all that wait for their turn. */
  clear(reason: AppError): void;
}

/** A probe is to tell soon, and its callers wait for nothing. */
const PROBE_MS = 5_000;
const probing = new AsyncLocalStorage<true>();

/** What is called in here goes out at once, past all limits, and does not count as a call of anybody. */
export function asProbe<T>(work: () => Promise<T>): Promise<T> {
  return probing.run(true, work);
}

/**
 * The `limit` of `ProviderDeps`: calls start in their order, neither too many at a time nor too fast, later when the
 * store asks for that, and not at all while it does not answer.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const { concurrency, clock, sleep = systemSleep, deadline = systemDeadline, breaker, throttle } = options;
  const slots = createSlots(concurrency);
  const nextTurn = createRate({
    perSecond: () => options.requestsPerSecond * (throttle?.share() ?? 1),
    // A tenth of a second's, so that a start does not double the first second.
    burst: (perSecond) => perSecond / 10,
    clock,
  });

  const check = () => {
    breaker?.check();
    throttle?.check();
  };
  const awaitTurn = async (signal: AbortSignal | undefined): Promise<void> => {
    // The pause may be made longer while it lasts.
    for (let wait = throttle?.wait() ?? 0; wait > 0; wait = throttle?.wait() ?? 0) {
      throttle?.check();
      await sleep(Math.ceil(wait), signal);
    }
    const wait = nextTurn();
    if (wait > 0) await sleep(wait, signal);
  };

  const run = async <T>(call: Call<T>, timeoutMs: number, leave: (ending: Ending) => void): Promise<T> => {
    const { send, signal, operation, failureOf } = call;
    const limit = deadline(timeoutMs);
    const startedAt = clock.now();
    let ended: Ended<T>;
    try {
      const both = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
      // A call that ignores its signal must not hold the slot for ever.
      ended = { value: await unlessAborted(send(both), both) };
    } catch (error) {
      ended = { error };
    } finally {
      limit.stop();
    }
    const ending = endingOf(ended, signal, failureOf);
    leave(ending);
    const outcome = ending === undefined ? 'ok' : ending === 'interrupted' ? 'INTERRUPTED' : ending.code;
    options.onCall?.({ operation, outcome, ms: Math.max(0, clock.now() - startedAt) });
    if ('error' in ended) throw ended.error;
    return ended.value;
  };

  return {
    async limit(send, signal, operation = 'other', failureOf = thrownError) {
      const call = { send, signal, operation, failureOf };
      if (probing.getStore()) {
        const probe = { ...call, operation: 'probe' as const };
        return run(probe, Math.min(PROBE_MS, options.timeoutMs), () => undefined);
      }
      const inTurn = async () => {
        check();
        await awaitTurn(signal);
        const leave = await breaker?.enter(signal);
        const begunIn = throttle?.begin() ?? 0;
        return run(call, options.timeoutMs, (ending) => {
          if (ending !== 'interrupted') throttle?.note(ending, begunIn);
          leave?.(ending);
        });
      };
      check();
      return slots.hold(inTurn, { signal });
    },
    clear: (reason) => slots.clear(reason),
  };
}

interface Call<T> {
  readonly send: (signal: AbortSignal) => Promise<T>;
  readonly signal: AbortSignal | undefined;
  readonly operation: Operation;
  readonly failureOf: FailureOf<T>;
}

function endingOf<T>(ended: Ended<T>, signal: AbortSignal | undefined, failureOf: FailureOf<T>): Ending {
  if ('error' in ended && signal?.aborted && ended.error === signal.reason) return 'interrupted';
  return failureOf(ended);
}

import { CircuitState, circuitBreaker, handleWhenResult, type IBreaker } from 'cockatiel';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';

/** The result of a completed call. `failure` is undefined if the store responded properly. */
export interface CallResult {
  readonly failure: AppError | undefined;
}

export interface BreakerOptions {
  /** Checks with a cheap call whether the store responds. */
  readonly probe: () => Promise<CallResult>;
  /** Called whenever `refusal` or `error` changes. */
  readonly onChange?: () => void;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/**
 * Only errors with these codes can mean that the whole store is down. Any other error shows that the store has
 * responded.
 */
const OUTAGE_CODES: ReadonlySet<ErrorCode> = new Set(['STORE_UNAVAILABLE', 'TIMEOUT', 'TLS_FAILED']);

/**
 * After three missing answers in a row, and again after every three more, a probe finds out whether the whole store or
 * a single key is the problem.
 */
const MISSING_BEFORE_PROBE = 3;
/**
 * After this many missing answers in a row, the breaker opens even if probes are answered. If a server can no longer
 * read, it may still answer probes.
 */
const MISSING_BEFORE_OPEN = 25;
const FIRST_WAIT_MS = 2_000;
const MAX_WAIT_MS = 20_000;
/** The maximum wait before a probe that a store can request. */
const MAX_REQUESTED_MS = 60_000;

export const CALL_SKIPPED = 'its last calls failed, so this call was skipped';

/**
 * The circuit breaker of one store. It opens after 25 missing answers in a row, or after 3 missing answers and a failed
 * probe. A single hanging key does not open it, because other keys are still answered. An open breaker makes no calls,
 * and a timer sends probes. The first probe follows after 2 s, and the waits double up to 20 s. So the breaker notices
 * the recovery without any callers. After an answered probe, three missing answers open the breaker again, and the
 * waits keep growing.
 */
export class Breaker implements Disposable {
  readonly #probe: BreakerOptions['probe'];
  readonly #onChange: () => void;
  readonly #random: () => number;
  readonly #missing = countMissingAnswers();
  // The waiting time of the circuit (`halfOpenAfter`) is not used. While the circuit is open, it gets only the results
  // of probes, and of calls that started before it opened.
  readonly #circuit = circuitBreaker(handleWhenResult(isMissing), {
    breaker: this.#missing,
    halfOpenAfter: 0,
  });
  #error: AppError | undefined;
  #probesSent = 0;
  #isProbeDue = false;
  #isDisposed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor({ probe, onChange = () => undefined, random = Math.random }: BreakerOptions) {
    this.#probe = probe;
    this.#onChange = onChange;
    this.#random = random;
    this.#circuit.onStateChange((state) => {
      if (state === CircuitState.HalfOpen) return;
      if (state === CircuitState.Open) this.#scheduleNext();
      else this.#error = undefined;
      this.#onChange();
    });
  }

  /** The error for skipped calls. Its code is the code of the last error. Undefined while the breaker makes calls. */
  get refusal(): AppError | undefined {
    const error = this.#error;
    if (!this.#isOpen() || error === undefined) return undefined;
    return new AppError(error.code, { detail: CALL_SKIPPED, cause: error });
  }

  /** The last error, if the breaker is open or so many calls failed that a probe was needed. Otherwise undefined. */
  get error(): AppError | undefined {
    return this.#error;
  }

  /**
   * Makes a call and counts its result. A call that throws does not count, because it was interrupted and proves
   * nothing about the store.
   * @throws AppError `refusal` while the breaker is open.
   */
  async execute<Result extends CallResult>(call: () => Promise<Result>): Promise<Result> {
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
    const result = await this.#circuit.execute(call);
    if (!isMissing(result)) await this.#recover(result);
    else if (!this.#isOpen() && this.#missing.state % MISSING_BEFORE_PROBE === 0) {
      this.#error = result.failure;
      this.#onChange();
      if (!this.#isProbeDue) this.#schedule(0);
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #isOpen(): boolean {
    return this.#circuit.state !== CircuitState.Closed;
  }

  async #recover(result: CallResult): Promise<void> {
    clearTimeout(this.#timer);
    this.#isProbeDue = false;
    this.#probesSent = 0;
    // The breaker may be open here, because the call may have started before it opened.
    if (this.#isOpen()) await this.#circuit.execute(() => result);
    this.#missing.state = 0;
    if (this.#error === undefined) return;
    this.#error = undefined;
    this.#onChange();
  }

  #schedule(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#isProbeDue = true;
    if (this.#isDisposed) return;
    const requestedMs = Math.min(this.#error?.retryAfterMs ?? 0, MAX_REQUESTED_MS);
    this.#timer = setTimeout(() => void this.#runProbe(), Math.max(waitMs, requestedMs)).unref();
  }

  #scheduleNext(): void {
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** this.#probesSent, MAX_WAIT_MS) * (0.9 + this.#random() / 5);
    this.#probesSent += 1;
    this.#schedule(waitMs);
  }

  async #runProbe(): Promise<void> {
    const result = await this.#probe();
    this.#isProbeDue = false;
    // If a call was answered during the probe, the store works, whatever the probe shows.
    const isStillOut = this.#isOpen() || this.#missing.state >= MISSING_BEFORE_PROBE;
    if (this.#isDisposed || !isStillOut) return;
    if (!isMissing(result)) {
      if (this.#isOpen()) await this.#circuit.execute(() => result);
      return;
    }
    this.#error = result.failure;
    if (this.#isOpen()) {
      this.#onChange();
      this.#scheduleNext();
      return;
    }
    this.#missing.state = MISSING_BEFORE_OPEN;
    await this.#circuit.execute(() => result);
  }
}

/**
 * Counts missing answers in a row. An answered probe sets the count so high that three more missing answers open the
 * breaker again.
 */
function countMissingAnswers(): IBreaker & { state: number } {
  return {
    state: 0,
    success(state) {
      this.state = state === CircuitState.HalfOpen ? MISSING_BEFORE_OPEN - MISSING_BEFORE_PROBE : 0;
    },
    failure() {
      this.state += 1;
      return this.state >= MISSING_BEFORE_OPEN;
    },
  };
}

function isMissing(result: unknown): result is { readonly failure: AppError } {
  const { failure } = result as CallResult;
  return failure !== undefined && OUTAGE_CODES.has(failure.code);
}

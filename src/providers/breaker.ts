import { CircuitState, circuitBreaker, handleWhenResult, type IBreaker } from 'cockatiel';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';

/** The result of a completed call: its error, or `undefined` if the store responded properly. */
export interface CallResult {
  readonly failure: AppError | undefined;
}

export interface BreakerOptions {
  /** A cheap call that checks whether the store responds. */
  readonly probe: () => Promise<CallResult>;
  /** Called whenever `refusal` or `error` changes. */
  readonly onChange?: () => void;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** Only errors with these codes may mean that the whole store is down. Any other error is a response of the store. */
const OUTAGE_CODES: ReadonlySet<ErrorCode> = new Set(['STORE_UNAVAILABLE', 'TIMEOUT', 'TLS_FAILED']);

/**
 * After every group of this many missing answers in a row, a probe determines whether the whole store or a single key
 * is the problem.
 */
const MISSING_BEFORE_PROBE = 3;
/**
 * After this many missing answers in a row, the breaker opens without a failed probe. A server may still respond to
 * probes when it can no longer read.
 */
const MISSING_BEFORE_OPEN = 25;
const FIRST_WAIT_MS = 2_000;
const MAX_WAIT_MS = 20_000;
/** The longest wait that a store can request for probes. */
const MAX_REQUESTED_MS = 60_000;

export const CALL_SKIPPED = 'its last calls failed, so this call was skipped';

/**
 * The circuit breaker of one store. It opens after 25 missing answers in a row, or after 3 and a failed probe. A key
 * that hangs does not open it, because other keys are still answered. While it is open, only a timer sends probes: the
 * first after 2 s, the next ones after doubling waits of up to 20 s. They detect the recovery, even if there are no
 * callers. After an answered probe, three missing answers open the breaker again, and the waits keep growing.
 */
export class Breaker implements Disposable {
  readonly #probe: BreakerOptions['probe'];
  readonly #onChange: () => void;
  readonly #random: () => number;
  readonly #missing = countMissingAnswers();
  // The circuit needs no waiting time of its own (`halfOpenAfter`). While it is open, only the results of probes and of
  // earlier calls reach it.
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

  /** While the breaker is open: the error for skipped calls. Its code is the code of the last error. */
  get refusal(): AppError | undefined {
    const error = this.#error;
    if (!this.#isOpen() || error === undefined) return undefined;
    return new AppError(error.code, { detail: CALL_SKIPPED, cause: error });
  }

  /** The last error, while the breaker is open or enough calls failed to require a probe. */
  get error(): AppError | undefined {
    return this.#error;
  }

  /**
   * Makes a call and counts its result. A call that throws was interrupted, and is no evidence about the store.
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
    // The call may have started before the breaker opened.
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
    // A call that was answered meanwhile proves that the store works.
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

/** Counts missing answers in a row. An answered probe leaves the breaker close to opening again. */
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

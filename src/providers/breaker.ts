import { unlessAborted } from '../core/abort.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { type StartTimer, startBackgroundTimer } from '../core/timer.ts';

/**
 * The result of a call: its error, `undefined` for success, or `interrupted` if the caller aborted it. An interrupted
 * call is not evidence about the store.
 */
export type CallResult = AppError | undefined | 'interrupted';

export interface Breaker extends Disposable {
  /**
   * `closed`: all calls are made. `open`: no calls are made. `trial`: the probe succeeded, and calls are made one at a
   * time.
   */
  readonly state: 'closed' | 'open' | 'trial';
  /**
   * While the breaker is open: the reason. While it is closed: the last error, if enough calls failed to require a
   * probe.
   */
  readonly error: AppError | undefined;
  /** The error for skipped calls while the breaker is open. Its code is the code of the last error. */
  readonly refusal: AppError | undefined;
  /** @throws AppError `refusal` */
  check(): void;
  /**
   * Starts a call and returns a function that must be called with its result. Waits while another call is on trial.
   * @throws AppError `refusal` while the breaker is open; the signal's reason.
   */
  enter(signal: AbortSignal | undefined): Promise<(result: CallResult) => void>;
}

export interface BreakerOptions {
  /** A cheap call that checks whether the store responds. Returns the error if it does not. */
  readonly probe: () => Promise<AppError | undefined>;
  /** Called whenever `state` or `error` changes. */
  readonly onChange?: () => void;
  readonly wake?: StartTimer;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** Only errors with these codes may mean that the whole store is down. Any other error is a response of the store. */
const OUTAGE_CODES: ReadonlySet<ErrorCode> = new Set(['STORE_UNAVAILABLE', 'TIMEOUT', 'TLS_FAILED']);

/**
 * After every group of this many failures in a row, a probe determines whether the whole store or a single key is the
 * problem.
 */
const FAILURES_BEFORE_PROBE = 3;
/**
 * After this many failures in a row, the breaker opens without a failed probe. A server may still respond to probes
 * when it can no longer read.
 */
const FAILURES_BEFORE_OPEN = 25;
const FIRST_WAIT_MS = 2_000;
const MAX_WAIT_MS = 20_000;
/** The maximum wait after a probe succeeded but the following call failed. Such a probe is unreliable. */
const MAX_DISTRUSTED_WAIT_MS = 60_000;

export const CALL_SKIPPED = 'its last calls failed, so this call was skipped';

/**
 * The circuit breaker of one store:
 *
 *     closed ── 3 failures and a failed probe, or 25 failures in a row ──▶ open ── the probe succeeds ──▶ trial
 *        ▲                                                                  ▲  ╲ it fails: retry later      │  │
 *        │                                                                  ╰──────── the call fails ───────╯  │
 *        ╰──────────────────────────────── any call is answered, in any state ─────────────────────────────────╯
 *
 * A key that hangs does not open the breaker, because other keys are still answered. While the store is down, only
 * probes are sent: the first after 2 s, the next ones after doubling waits of up to 20 s. They detect the recovery,
 * even if there are no callers.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { probe, onChange = () => undefined, wake = startBackgroundTimer, random = Math.random } = options;
  let state: Breaker['state'] = 'closed';
  let error: AppError | undefined;
  let consecutiveFailures = 0;
  /** Incremented on each state change. Failures of calls that started in an earlier state are ignored. */
  let epoch = 0;
  let probesSent = 0;
  let isDistrusted = false;
  let isVerifying = false;
  let isClosed = false;
  let trial: PromiseWithResolvers<void> | undefined;
  let cancelTimer = () => {};

  const transition = (next: Breaker['state'], why: AppError | undefined) => {
    if (next !== state) epoch += 1;
    state = next;
    error = why;
    consecutiveFailures = 0;
    trial?.resolve();
    trial = undefined;
    onChange();
  };
  const scheduleProbe = () => {
    cancelTimer();
    const longest = isDistrusted ? MAX_DISTRUSTED_WAIT_MS : MAX_WAIT_MS;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** probesSent, longest) * (0.9 + random() / 5);
    probesSent += 1;
    cancelTimer = wake(() => void runProbe(), Math.max(wait, requestedDelayOf(error)));
  };
  const runProbe = async () => {
    const before = epoch;
    const failure = await probe();
    if (isClosed || epoch !== before) return;
    if (failure !== undefined && OUTAGE_CODES.has(failure.code)) {
      error = failure;
      onChange();
      scheduleProbe();
    } else transition('trial', undefined);
  };
  const open = (why: AppError) => {
    if (state === 'trial') isDistrusted = true;
    transition('open', why);
    scheduleProbe();
  };
  const verifyOutage = async (why: AppError) => {
    if (isVerifying) return;
    isVerifying = true;
    const before = epoch;
    // Any answered call meanwhile proves that the store works.
    const isResolved = () => isClosed || epoch !== before || consecutiveFailures < FAILURES_BEFORE_PROBE;
    await pause(requestedDelayOf(why));
    const failure = isResolved() ? undefined : await probe();
    isVerifying = false;
    if (failure !== undefined && !isResolved() && OUTAGE_CODES.has(failure.code)) open(failure);
  };
  /** Waits for the given time, or until a call is answered. */
  const pause = (ms: number): Promise<void> | undefined => {
    if (ms === 0) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = wake(resolve, ms);
    cancelTimer = () => {
      stop();
      resolve();
    };
    return promise;
  };
  const succeed = () => {
    const wasDoubtful = error !== undefined;
    consecutiveFailures = 0;
    probesSent = 0;
    isDistrusted = false;
    cancelTimer();
    if (state !== 'closed' || wasDoubtful) transition('closed', undefined);
  };
  const settle = (result: CallResult, startEpoch: number) => {
    if (isClosed || result === 'interrupted') return;
    if (result === undefined || !OUTAGE_CODES.has(result.code)) succeed();
    else if (startEpoch !== epoch) return;
    else if (state === 'trial') open(result);
    else {
      consecutiveFailures += 1;
      if (consecutiveFailures >= FAILURES_BEFORE_OPEN) open(result);
      else if (consecutiveFailures % FAILURES_BEFORE_PROBE === 0) {
        error = result;
        onChange();
        void verifyOutage(result);
      }
    }
  };
  const refusal = () =>
    state === 'open' && error !== undefined
      ? new AppError(error.code, { detail: CALL_SKIPPED, cause: error })
      : undefined;
  const check = () => {
    const refused = refusal();
    if (refused !== undefined) throw refused;
  };

  return {
    get state() {
      return state;
    },
    get error() {
      return error;
    },
    get refusal() {
      return refusal();
    },
    check,
    async enter(signal) {
      while (state === 'trial' && trial !== undefined) await unlessAborted(trial.promise, signal);
      check();
      const startEpoch = epoch;
      if (state !== 'trial') return (result) => settle(result, startEpoch);
      const ownTrial = Promise.withResolvers<void>();
      trial = ownTrial;
      return (result) => {
        if (trial === ownTrial) trial = undefined;
        settle(result, startEpoch);
        ownTrial.resolve();
      };
    },
    [Symbol.dispose]() {
      isClosed = true;
      cancelTimer();
    },
  };
}

/** How long the store asked us to wait, at most one minute. Probes wait too. */
function requestedDelayOf(error: AppError | undefined): number {
  return Math.min(error?.retryAfterMs ?? 0, MAX_DISTRUSTED_WAIT_MS);
}

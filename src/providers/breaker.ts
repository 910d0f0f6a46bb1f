import { unlessAborted } from '../core/abort.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { type Wake, wakeLater } from '../core/wake.ts';

/** How a call ended: its error, `undefined` for success, `interrupted` by its caller, which says nothing. */
export type Ending = AppError | undefined | 'interrupted';

export interface Breaker extends Disposable {
  /** `closed`: calls are made. `open`: none is. `trial`: the probe was answered, and one call at a time is made. */
  readonly state: 'closed' | 'open' | 'trial';
  /** Why it is open; or while it is closed, the last error of calls that failed often enough to ask why. */
  readonly error: AppError | undefined;
  /** What a call gets while none is made: the last error's code. */
  readonly refusal: AppError | undefined;
  /** @throws AppError `refusal` */
  check(): void;
  /**
   * Begins a call; to be told how it ended. Waits while another one is on trial.
   * @throws AppError as `check` does; the signal's reason.
   */
  enter(signal: AbortSignal | undefined): Promise<(ending: Ending) => void>;
}

export interface BreakerOptions {
  /** One cheap call that tells whether the store is there: its error, if it failed. */
  readonly probe: () => Promise<AppError | undefined>;
  /** Told of every change of `state`, and of `error`. */
  readonly onChange?: () => void;
  readonly wake?: Wake;
  /** At least 0, below 1. */
  readonly random?: () => number;
}

/** Only these mean that the store as a whole may be away; with any other error it has answered. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['STORE_UNAVAILABLE', 'TIMEOUT', 'TLS_FAILED']);

/** So many failures in a row, and as often again, raise the question whether it is the store or a key. */
const DOUBT = 3;
/** So many in a row are the store's, whatever its probe says: a server may answer that without reading anything. */
const CERTAIN = 25;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 20_000;
/** Where the probe was answered and the call after it failed, the probe is not to be trusted. */
const LONGEST_DISTRUST_MS = 60_000;

export const NOT_MADE = 'the last calls failed, so this one was not made';

/**
 * Of one store:
 *
 *     closed ── 3 failures in a row, and the probe fails; or 25 ──▶ open ── a probe is answered ──▶ trial
 *        ▲                                                           ▲  ╲ it fails: later again      │   │
 *        │                                                           ╰── the call fails ────────────╯   │
 *        ╰───────────────────────── any call is answered, in any state ─────────────────────────────────╯
 *
 * So a key that hangs among others does not open it, a store that is away costs nothing but its probes (a timer's,
 * after 2 s, doubling up to 20 s), and its return is seen without anybody asking for it.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { probe, onChange = () => undefined, wake = wakeLater, random = Math.random } = options;
  let state: Breaker['state'] = 'closed';
  let error: AppError | undefined;
  let inARow = 0;
  /** Grows with each change of state, so that the end of a call of before does not count as one of now. */
  let epoch = 0;
  let opened = 0;
  let isDistrusted = false;
  let isDoubting = false;
  let isClosed = false;
  let trial: PromiseWithResolvers<void> | undefined;
  let callOff = () => {};

  const become = (next: Breaker['state'], why: AppError | undefined) => {
    if (next !== state) epoch += 1;
    state = next;
    error = why;
    inARow = 0;
    trial?.resolve();
    trial = undefined;
    onChange();
  };
  const probeLater = () => {
    callOff();
    const longest = isDistrusted ? LONGEST_DISTRUST_MS : LONGEST_WAIT_MS;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** opened, longest) * (0.9 + random() / 5);
    opened += 1;
    callOff = wake(() => void tryProbe(), Math.max(wait, askedOf(error)));
  };
  const tryProbe = async () => {
    const before = epoch;
    const failure = await probe();
    if (isClosed || epoch !== before) return;
    if (failure !== undefined && AWAY.has(failure.code)) {
      error = failure;
      onChange();
      probeLater();
    } else become('trial', undefined);
  };
  const open = (why: AppError) => {
    if (state === 'trial') isDistrusted = true;
    become('open', why);
    probeLater();
  };
  const doubt = async (why: AppError) => {
    if (isDoubting) return;
    isDoubting = true;
    const before = epoch;
    // Whatever was answered meanwhile proves the store.
    const isProved = () => isClosed || epoch !== before || inARow < DOUBT;
    await pause(askedOf(why));
    const failure = isProved() ? undefined : await probe();
    isDoubting = false;
    if (failure !== undefined && !isProved() && AWAY.has(failure.code)) open(failure);
  };
  /** Until the time is over, or something was answered. */
  const pause = (ms: number): Promise<void> | undefined => {
    if (ms === 0) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = wake(resolve, ms);
    callOff = () => {
      stop();
      resolve();
    };
    return promise;
  };
  const succeed = () => {
    const wasDoubtful = error !== undefined;
    inARow = 0;
    opened = 0;
    isDistrusted = false;
    callOff();
    if (state !== 'closed' || wasDoubtful) become('closed', undefined);
  };
  const settle = (ending: Ending, begunIn: number) => {
    if (isClosed || ending === 'interrupted') return;
    if (ending === undefined || !AWAY.has(ending.code)) succeed();
    else if (begunIn !== epoch) return;
    else if (state === 'trial') open(ending);
    else {
      inARow += 1;
      if (inARow >= CERTAIN) open(ending);
      else if (inARow % DOUBT === 0) {
        error = ending;
        onChange();
        void doubt(ending);
      }
    }
  };
  const refusal = () =>
    state === 'open' && error !== undefined
      ? new AppError(error.code, { detail: NOT_MADE, cause: error })
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
      const begunIn = epoch;
      if (state !== 'trial') return (ending) => settle(ending, begunIn);
      const mine = Promise.withResolvers<void>();
      trial = mine;
      return (ending) => {
        if (trial === mine) trial = undefined;
        settle(ending, begunIn);
        mine.resolve();
      };
    },
    [Symbol.dispose]() {
      isClosed = true;
      callOff();
    },
  };
}

/** So long the store wants to be left alone, also by probes; one that asks for an hour is asked after a minute. */
function askedOf(error: AppError | undefined): number {
  return Math.min(error?.retryAfterMs ?? 0, LONGEST_DISTRUST_MS);
}

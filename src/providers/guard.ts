import { AppError, toAppError } from '../core/errors.ts';
import type { Wake } from '../core/wake.ts';
import { createBreaker } from './breaker.ts';
import { asProbe, type CallReport, createLimiter, type LimiterOptions } from './limits.ts';
import type { CallOptions, ChangeListener, ProviderDeps, SecretProvider } from './provider.ts';
import { withQuarantine } from './quarantine.ts';
import { withRetry } from './retry.ts';
import { createThrottle } from './throttle.ts';
import type { MakeDeadline, Sleep } from './timing.ts';

export interface StoreState {
  /**
   * `down`: no call is made, since the last ones had no answer, or none can be, for want of a login · `degraded`:
   * throttled, or calls fail while the store answers others · `up`: everything else, also before the first call.
   */
  readonly state: 'up' | 'degraded' | 'down';
  /** Milliseconds since 1970: when a request last had an answer without an error. */
  readonly lastSuccess?: number;
  readonly error?: AppError;
  readonly breakerOpen: boolean;
}

export interface GuardDeps extends Omit<ProviderDeps, 'limit'> {
  readonly create: (deps: ProviderDeps) => Promise<SecretProvider>;
  readonly limits: Pick<LimiterOptions, 'requestsPerSecond' | 'concurrency' | 'timeoutMs'>;
  readonly onCall: (report: CallReport) => void;
  /** Told whenever the state may be another. */
  readonly onChange: () => void;
  readonly sleep?: Sleep | undefined;
  readonly wake?: Wake | undefined;
  readonly deadline?: MakeDeadline | undefined;
  readonly random?: (() => number) | undefined;
}

/** One store, opened once: its provider, behind limits, breaker, throttle and retries. */
export interface Guard extends AsyncDisposable {
  /** @throws AppError when the provider cannot be set up; the next call tries again. */
  open(): Promise<void>;
  use<T>(work: (provider: SecretProvider) => Promise<T>, judge: (result: T) => Verdict): Promise<T>;
  /** Beside the calls: a stream says nothing of the store, and ends when this is retired. */
  subscribe(listener: ChangeListener, options?: CallOptions): Promise<never>;
  state(): StoreState;
  /** Closed once what runs has ended: nothing new is to come. */
  retire(): Promise<void>;
}

/** What a result says of the login: that it works, its error, or nothing. */
export type Verdict = AppError | 'answered' | 'unclear';

/** With these nothing can be read, whatever it is. */
const LOCKED_OUT: readonly string[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];
/** Said only to whom the store knows: a login that is not accepted is AUTH_FAILED, whatever it asks for. */
const LET_IN: readonly string[] = [
  'ACCESS_DENIED',
  'SOURCE_DELETED',
  'SOURCE_DISABLED',
  'VERSION_GONE',
  'MOUNT_NOT_FOUND',
];

export function createGuard(deps: GuardDeps): Guard {
  const { clock, onChange } = deps;
  const timing = pick(deps);
  let opening: Promise<SecretProvider> | undefined;
  let lockedOut: AppError | undefined;
  let lastSuccess: number | undefined;
  let running = 0;
  let isGone = false;
  let bare: SecretProvider | undefined;
  const idle = new Set<() => void>();

  const throttle = createThrottle({ clock, ...timing });
  const breaker = createBreaker({
    ...timing,
    probe: async () => {
      const provider = await opening;
      return provider === undefined ? undefined : failureOf(asProbe(() => provider.probe()));
    },
    onChange: () => {
      const { refusal } = breaker;
      if (refusal !== undefined) limiter.clear(refusal);
      onChange();
    },
  });
  const limiter = createLimiter({
    ...deps.limits,
    ...timing,
    clock,
    breaker,
    throttle,
    onCall(report) {
      if (report.outcome === 'ok' && report.operation !== 'probe') lastSuccess = clock.now();
      deps.onCall(report);
    },
  });

  const create = async (): Promise<SecretProvider> => {
    try {
      const provider = await deps.create({ ...deps, limit: limiter.limit });
      bare = provider;
      const isAsked = () => !isGone && breaker.state !== 'open';
      return withRetry(withQuarantine(deps.name, provider), { clock, isAsked, ...timing });
    } catch (thrown) {
      // What could not be opened may be there the next time: a file that was missing, a credential.
      opening = undefined;
      lockedOut = toAppError(thrown);
      onChange();
      throw thrown;
    }
  };
  const open = (): Promise<SecretProvider> => {
    opening ??= create();
    return opening;
  };
  const note = (verdict: Verdict) => {
    const code = typeof verdict === 'string' ? verdict : verdict.code;
    // Why it could not be set up says nothing of the login.
    if (code === 'answered' || (bare !== undefined && LET_IN.includes(code))) lockedOut = undefined;
    else if (typeof verdict !== 'string' && LOCKED_OUT.includes(code)) lockedOut = verdict;
    onChange();
  };

  return {
    async open() {
      await open();
    },
    async use(work, judge) {
      running += 1;
      try {
        const result = await work(await open());
        note(judge(result));
        return result;
      } catch (thrown) {
        note(toAppError(thrown));
        throw thrown;
      } finally {
        running -= 1;
        if (running === 0) for (const done of idle) done();
      }
    },
    async subscribe(listener, options) {
      await open();
      if (bare?.subscribe === undefined)
        throw new AppError('CONFIG_INVALID', { detail: 'a store of this kind tells of no changes' });
      return bare.subscribe(listener, options);
    },
    state() {
      const breakerOpen = breaker.state === 'open';
      const down = breakerOpen ? breaker.error : lockedOut;
      const error = down ?? throttle.error ?? breaker.error;
      return {
        state: down !== undefined ? 'down' : error !== undefined ? 'degraded' : 'up',
        ...(lastSuccess === undefined ? {} : { lastSuccess }),
        ...(error === undefined ? {} : { error }),
        breakerOpen,
      };
    },
    async retire() {
      breaker[Symbol.dispose]();
      if (running > 0) await new Promise<void>((resolve) => idle.add(resolve));
      await close(opening);
      opening = undefined;
    },
    async [Symbol.asyncDispose]() {
      breaker[Symbol.dispose]();
      // What runs still is left behind: it must not wait for its turn, or to be tried again, and keep the process.
      isGone = true;
      await close(opening);
      opening = undefined;
      limiter.clear(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
    },
  };
}

async function close(opening: Promise<SecretProvider> | undefined): Promise<void> {
  const [opened] = await Promise.allSettled([opening]);
  if (opened.status === 'fulfilled') await opened.value?.[Symbol.asyncDispose]();
}

async function failureOf(work: Promise<unknown>): Promise<AppError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return toAppError(thrown);
  }
}

/** Those of the timers that are given; left out, each part takes the system's. */
function pick({ sleep, wake, deadline, random }: Pick<GuardDeps, 'sleep' | 'wake' | 'deadline' | 'random'>) {
  return {
    ...(sleep === undefined ? {} : { sleep }),
    ...(wake === undefined ? {} : { wake }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(random === undefined ? {} : { random }),
  };
}

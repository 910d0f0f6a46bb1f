import { AppError, toAppError } from '../core/errors.ts';
import { createStorePolicy, type StorePolicyOptions } from './policy.ts';
import type { CallOptions, ChangeListener, ProviderDeps, SecretProvider } from './provider.ts';
import { withRetry } from './retry.ts';

export interface StoreState {
  /**
   * - `down`: no calls are made because the store did not respond, or no login is possible.
   * - `degraded`: calls are throttled, or some calls fail.
   * - `up`: in all other cases, including before the first call.
   */
  readonly state: 'up' | 'degraded' | 'down';
  /** The time of the last request without an error, in milliseconds since 1970. */
  readonly lastSuccess?: number;
  readonly error?: AppError;
  readonly breakerOpen: boolean;
}

export interface ManagedStoreDeps
  extends Omit<ProviderDeps, 'limit'>,
    Pick<StorePolicyOptions, 'limits' | 'deadline' | 'random'> {
  readonly create: (deps: ProviderDeps) => Promise<SecretProvider>;
  readonly onCall: NonNullable<StorePolicyOptions['onCall']>;
  /** Called when the state may have changed. */
  readonly onChange: () => void;
}

/** A store with its provider, policy and retries. */
export interface ManagedStore extends AsyncDisposable {
  /**
   * Sets up the provider if needed. The next call tries again after a failure. @throws AppError if the provider cannot
   * be set up.
   */
  open(): Promise<void>;
  use<T>(work: (provider: SecretProvider) => Promise<T>, judge: (result: T) => LoginStatus): Promise<T>;
  /**
   * Bypasses the policy, because a stream is no evidence about the health of the store. The stream ends when the store
   * is closed.
   */
  subscribe(listener: ChangeListener, options?: CallOptions): Promise<never>;
  state(): StoreState;
  /** Waits for running calls to end, then closes the store. No new calls may be made after this call. */
  retire(): Promise<void>;
}

/** The login status that a result proves: `answered` if the login works, an error, or `unclear`. */
export type LoginStatus = AppError | 'answered' | 'unclear';

/** Errors that prevent reading any key of the store. */
const LOGIN_ERRORS: readonly string[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];
/** Errors that a store returns only after it has accepted the login. A rejected login is always AUTH_FAILED. */
const AUTHENTICATED_ERRORS: readonly string[] = [
  'ACCESS_DENIED',
  'SOURCE_DELETED',
  'SOURCE_DISABLED',
  'VERSION_GONE',
  'MOUNT_NOT_FOUND',
];

export function createManagedStore(deps: ManagedStoreDeps): ManagedStore {
  const { clock, onChange } = deps;
  let opening: Promise<SecretProvider> | undefined;
  let loginError: AppError | undefined;
  let lastSuccess: number | undefined;
  let running = 0;
  let isDisposed = false;
  let rawProvider: SecretProvider | undefined;
  const idleWaiters = new Set<() => void>();

  const policy = createStorePolicy({
    ...deps,
    probe: async () => (await opening)?.probe(),
    onCall(report) {
      if (report.outcome === 'ok' && report.operation !== 'probe') lastSuccess = clock.now();
      deps.onCall(report);
    },
  });

  const create = async (): Promise<SecretProvider> => {
    try {
      const provider = await deps.create({ ...deps, limit: policy.limit });
      rawProvider = provider;
      const mayRetry = () => !isDisposed && policy.outage === undefined;
      return withRetry(provider, { ...deps, mayRetry });
    } catch (thrown) {
      // Allow another attempt, because a missing file or credential may exist later.
      opening = undefined;
      loginError = toAppError(thrown);
      onChange();
      throw thrown;
    }
  };
  const open = (): Promise<SecretProvider> => {
    opening ??= create();
    return opening;
  };
  const note = (verdict: LoginStatus) => {
    const code = typeof verdict === 'string' ? verdict : verdict.code;
    // An error while setting up the provider proves nothing about the login.
    if (code === 'answered' || (rawProvider !== undefined && AUTHENTICATED_ERRORS.includes(code)))
      loginError = undefined;
    else if (typeof verdict !== 'string' && LOGIN_ERRORS.includes(code)) loginError = verdict;
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
        if (running === 0) for (const done of idleWaiters) done();
      }
    },
    async subscribe(listener, options) {
      await open();
      if (rawProvider?.subscribe === undefined)
        throw new AppError('CONFIG_INVALID', { detail: 'stores of this kind send no change events' });
      return rawProvider.subscribe(listener, options);
    },
    state() {
      const down = policy.outage ?? loginError;
      const error = down ?? policy.trouble;
      return {
        state: down !== undefined ? 'down' : error !== undefined ? 'degraded' : 'up',
        ...(lastSuccess === undefined ? {} : { lastSuccess }),
        ...(error === undefined ? {} : { error }),
        breakerOpen: policy.outage !== undefined,
      };
    },
    async retire() {
      if (running > 0) await new Promise<void>((resolve) => idleWaiters.add(resolve));
      await close(opening);
      opening = undefined;
      policy[Symbol.dispose]();
    },
    async [Symbol.asyncDispose]() {
      // Running calls are abandoned. If they waited for a permit or a retry, they would keep the process alive.
      isDisposed = true;
      await close(opening);
      opening = undefined;
      policy[Symbol.dispose]();
    },
  };
}

async function close(opening: Promise<SecretProvider> | undefined): Promise<void> {
  const [opened] = await Promise.allSettled([opening]);
  if (opened.status === 'fulfilled') await opened.value?.[Symbol.asyncDispose]();
}

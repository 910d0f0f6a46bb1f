import { AppError, toAppError } from '../core/errors.ts';
import { createStorePolicy, type StorePolicy, type StorePolicyOptions } from './policy.ts';
import type { CallOptions, ChangeListener, ProviderDeps, SecretProvider } from './provider.ts';
import { withRetry } from './retry.ts';

export interface StoreState {
  /**
   * - `down`: the store did not respond or no login is possible, so no calls are made.
   * - `degraded`: calls are slowed down, or some calls fail.
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

/** A store with its provider, limits and retries. */
export interface ManagedStore extends AsyncDisposable {
  /**
   * Sets up the provider if needed. After a failure, the next call tries again. @throws AppError if the provider cannot
   * be set up.
   */
  open(): Promise<void>;
  use<T>(work: (provider: SecretProvider) => Promise<T>, judge: (result: T) => LoginStatus): Promise<T>;
  /**
   * Follows the change stream of the store until the store is closed. The limits and the circuit breaker do not apply,
   * because a stream proves nothing about the health of the store.
   */
  subscribe(listener: ChangeListener, options?: CallOptions): Promise<never>;
  state(): StoreState;
  /** Waits for running calls to end, then closes the store. After this call, no new calls may be made. */
  retire(): Promise<void>;
}

/**
 * What a result proves about the login: `answered` if the login works, an error if it does not, otherwise `unclear`.
 */
export type LoginStatus = AppError | 'answered' | 'unclear';

/** Errors of the login. They prevent reading any key of the store. */
const LOGIN_ERRORS: readonly string[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];
/**
 * A store returns these errors only after it has accepted the login. If it rejects the login, the error is always
 * AUTH_FAILED.
 */
const AUTHENTICATED_ERRORS: readonly string[] = [
  'ACCESS_DENIED',
  'SOURCE_DELETED',
  'SOURCE_DISABLED',
  'VERSION_GONE',
  'MOUNT_NOT_FOUND',
];

export function createManagedStore(deps: ManagedStoreDeps): ManagedStore {
  return new PolicedStore(deps);
}

class PolicedStore implements ManagedStore {
  readonly #deps: ManagedStoreDeps;
  readonly #policy: StorePolicy;
  readonly #idleWaiters = new Set<() => void>();
  #opening: Promise<SecretProvider> | undefined;
  #rawProvider: SecretProvider | undefined;
  #loginError: AppError | undefined;
  #lastSuccess: number | undefined;
  #running = 0;
  #isDisposed = false;

  constructor(deps: ManagedStoreDeps) {
    this.#deps = deps;
    this.#policy = createStorePolicy({
      ...deps,
      probe: async () => (await this.#opening)?.probe(),
      onCall: (report) => {
        if (report.outcome === 'ok' && report.operation !== 'probe') this.#lastSuccess = deps.clock.now();
        deps.onCall(report);
      },
    });
  }

  async open(): Promise<void> {
    await this.#open();
  }

  async use<T>(
    work: (provider: SecretProvider) => Promise<T>,
    judge: (result: T) => LoginStatus,
  ): Promise<T> {
    this.#running += 1;
    try {
      const result = await work(await this.#open());
      this.#updateLogin(judge(result));
      return result;
    } catch (thrown) {
      this.#updateLogin(toAppError(thrown));
      throw thrown;
    } finally {
      this.#running -= 1;
      if (this.#running === 0) for (const done of this.#idleWaiters) done();
    }
  }

  async subscribe(listener: ChangeListener, options?: CallOptions): Promise<never> {
    await this.#open();
    if (this.#rawProvider?.subscribe === undefined)
      throw new AppError('CONFIG_INVALID', { detail: 'stores of this kind send no change events' });
    return this.#rawProvider.subscribe(listener, options);
  }

  state(): StoreState {
    const { outage, trouble } = this.#policy;
    const down = outage ?? this.#loginError;
    const error = down ?? trouble;
    return {
      state: down !== undefined ? 'down' : error !== undefined ? 'degraded' : 'up',
      ...(this.#lastSuccess === undefined ? {} : { lastSuccess: this.#lastSuccess }),
      ...(error === undefined ? {} : { error }),
      breakerOpen: outage !== undefined,
    };
  }

  async retire(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
    await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Do not wait for running calls. If they waited for a permit or a retry, the process could not end.
    this.#isDisposed = true;
    await this.#close();
  }

  #open(): Promise<SecretProvider> {
    this.#opening ??= this.#create();
    return this.#opening;
  }

  async #create(): Promise<SecretProvider> {
    try {
      const provider = await this.#deps.create({ ...this.#deps, limit: this.#policy.limit });
      this.#rawProvider = provider;
      const mayRetry = () => !this.#isDisposed && this.#policy.outage === undefined;
      return withRetry(provider, { ...this.#deps, mayRetry });
    } catch (thrown) {
      // Let the next call try again, because a missing file or credential may exist by then.
      this.#opening = undefined;
      this.#loginError = toAppError(thrown);
      this.#deps.onChange();
      throw thrown;
    }
  }

  #updateLogin(status: LoginStatus): void {
    const code = typeof status === 'string' ? status : status.code;
    // An error from setting up the provider proves nothing about the login.
    if (code === 'answered' || (this.#rawProvider !== undefined && AUTHENTICATED_ERRORS.includes(code)))
      this.#loginError = undefined;
    else if (typeof status !== 'string' && LOGIN_ERRORS.includes(code)) this.#loginError = status;
    this.#deps.onChange();
  }

  async #close(): Promise<void> {
    const [opened] = await Promise.allSettled([this.#opening]);
    if (opened.status === 'fulfilled') await opened.value?.[Symbol.asyncDispose]();
    this.#opening = undefined;
    this.#policy[Symbol.dispose]();
  }
}

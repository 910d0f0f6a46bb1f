import { AsyncLocalStorage } from 'node:async_hooks';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { AppError, isTransient } from '../../core/errors.ts';
import { createLoginBackoff } from '../login-backoff.ts';
import type { ProviderDeps, Settled } from '../provider.ts';
import { thrownError } from '../results.ts';
import type { AzureConfig } from './config.ts';
import { type Identity, makeCredential } from './credential.ts';
import { loginFailure } from './login-errors.ts';
import type { Answer } from './transport.ts';
import { type HttpClient, type HttpRequest, type Transport, toResponse } from './transport.ts';

/** The login of a store. The SDK clients of the store share its token and renew it before it expires. */
export interface Login {
  readonly credential: TokenCredential;
  /** Drops the current token, so that the next request gets a new token. */
  forget(): void;
  /** Records that the vault has accepted the current token. */
  confirm(): void;
  /** Whether the vault has accepted the current token before. If it refuses this token now, the token is stale. */
  isConfirmed(): boolean;
  /** @throws AppError if a login, or the token of a login, was refused a short time ago. */
  throwIfRefused(): void;
  /** Records that the vault refused a new token. */
  refuse(error: AppError): void;
  /** Whether the last failed login ended with this error. */
  lastFailedWith(error: unknown): boolean;
}

export interface LoginDeps {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly transport: Transport;
  readonly identity: Identity;
  /** A signal that aborts running logins when the store is closed. */
  readonly closing: AbortSignal;
}

/** The SDK clients renew a token this long before it expires. */
const RENEW_BEFORE_END_MS = 120_000;
/** A token is used at least this long, even if it expires earlier. Otherwise each read could start a login. */
const MIN_TOKEN_USE_MS = 10_000;

interface Attempt {
  send(request: HttpRequest): Promise<Answer>;
  /** Our own error. The SDK throws an error that only quotes it. */
  failure: AppError | undefined;
}

/**
 * The SDK keeps a managed identity for the whole process, together with the HTTP client of the first store that used
 * it. So all stores share one HTTP client, and this HTTP client gets the current login from here.
 */
const attempts = new AsyncLocalStorage<Attempt>();

const httpClient: HttpClient = {
  async sendRequest(request) {
    const attempt = attempts.getStore();
    if (attempt === undefined) throw new AppError('INTERNAL', { detail: 'a login without a caller' });
    // Login authorities always use TLS. Managed identity endpoints usually use plain HTTP.
    const where = request.url.startsWith('http:') ? 'at the managed identity endpoint' : 'at the login';
    try {
      const answer = await attempt.send(request);
      attempt.failure = loginFailure(answer, where);
      return toResponse(request, answer);
    } catch (error) {
      if (error instanceof AppError) attempt.failure = withLocation(where, error);
      throw error;
    }
  },
};

export function createLogin({ config, deps, transport, identity, closing }: LoginDeps): Login {
  const { clock } = deps;
  let held: { readonly token: AccessToken; readonly renewAt: number; isConfirmed: boolean } | undefined;
  const backoff = createLoginBackoff(clock);
  let lastError: unknown;
  const running = new Map<string, Promise<AccessToken>>();

  const logIn = async (
    ...[scopes, options]: Parameters<TokenCredential['getToken']>
  ): Promise<AccessToken> => {
    const attempt: Attempt = {
      send: (request) => deps.limit((signal) => transport.send(request, signal), closing, 'login', failureOf),
      failure: undefined,
    };
    try {
      const token = await attempts.run(attempt, async () => {
        const credential = await makeCredential({ config, deps, identity, httpClient });
        return credential.getToken(scopes, options);
      });
      if (token === null) throw new AppError('AUTH_FAILED', { detail: 'the login gave no token' });
      held = { token, renewAt: renewalOf(token, clock.now()), isConfirmed: false };
      backoff.clear();
      return token;
    } catch (thrown) {
      closing.throwIfAborted();
      const error = attempt.failure ?? asAppError(thrown);
      lastError = error;
      if (!isTransient(error.code)) backoff.record(error);
      throw error;
    }
  };

  return {
    throwIfRefused: backoff.check,
    refuse: backoff.record,
    credential: {
      async getToken(scopes, { claims, enableCae = false } = {}) {
        if (claims === undefined && held !== undefined && clock.now() < held.renewAt) return held.token;
        backoff.check();
        // Do not pass on the caller's signal, because all callers share the login. Do not pass on the tenant that the
        // vault names, because only the configured tenant may get the credentials.
        const options = { enableCae, ...(claims === undefined ? {} : { claims }) };
        const id = claims ?? '';
        const shared = running.get(id) ?? logIn(scopes, options).finally(() => running.delete(id));
        running.set(id, shared);
        return shared;
      },
    },
    forget() {
      held = undefined;
    },
    confirm() {
      if (held !== undefined) held.isConfirmed = true;
    },
    isConfirmed: () => held?.isConfirmed === true,
    lastFailedWith: (error) => error !== undefined && error === lastError,
  };
}

function failureOf(ended: Settled<Answer>): AppError | undefined {
  return 'error' in ended ? thrownError(ended) : loginFailure(ended.value, 'at the login');
}

/**
 * If credentials have already expired by our clock, they are used for ten seconds. A new login would return the same
 * credentials, so every read would log in.
 */
function renewalOf({ expiresOnTimestamp, refreshAfterTimestamp }: AccessToken, now: number): number {
  const early = Math.min(RENEW_BEFORE_END_MS, Math.max(0, expiresOnTimestamp - now) / 10);
  const due = Math.min(expiresOnTimestamp - early, refreshAfterTimestamp ?? Number.POSITIVE_INFINITY);
  return Math.max(now + MIN_TOKEN_USE_MS, Number.isNaN(due) ? 0 : due);
}

function withLocation(where: string, { code, detail, retryAfterMs, cause }: AppError): AppError {
  return new AppError(code, {
    detail: detail === undefined ? where : `${where}: ${detail}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    cause,
  });
}

/** Every other error of the SDK is about an ID, a certificate or a response. */
function asAppError(thrown: unknown): AppError {
  return thrown instanceof AppError
    ? thrown
    : new AppError('AUTH_FAILED', { detail: 'the credentials cannot be used to log in' });
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { AppError, healsItself } from '../../core/errors.ts';
import type { Ended, ProviderDeps } from '../provider.ts';
import { createRefusals } from '../refusals.ts';
import { thrownError } from '../settle.ts';
import type { Answer } from './answer.ts';
import type { AzureConfig } from './config.ts';
import { type Identity, makeCredential } from './credential.ts';
import { loginFailure } from './login-errors.ts';
import { type HttpClient, type HttpRequest, type Transport, toResponse } from './transport.ts';

/** The one login of a store, shared by its clients and renewed by them before it ends. */
export interface Login {
  readonly credential: TokenCredential;
  /** The vault refused the token, so the next one must be another. */
  forget(): void;
  /** @throws AppError of a login, or of its token, that was refused a moment ago. */
  throwIfRefused(): void;
  /** The vault refused a token that cannot be a stale one. */
  refuse(error: AppError): void;
  /** Whether this is what the last login ended with. */
  endedWith(error: unknown): boolean;
}

export interface LoginDeps {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly transport: Transport;
  readonly identity: Identity;
  /** Ends the logins that are under way when the store is closed. */
  readonly closing: AbortSignal;
}

/** The vendor's clients ask for a new token this long before the end of the one they have. */
const EARLY_MS = 120_000;
/** Logins are not made for each of a thousand reads. */
const LEAST_MS = 10_000;

interface Attempt {
  send(request: HttpRequest): Promise<Answer>;
  /** What really went wrong; the vendor's library wraps it in errors that only quote it. */
  failure: AppError | undefined;
}

/**
 * Managed identities are kept by the vendor's library once for the process, with the HTTP client of whoever came
 * first. So the client is the same for all stores, and finds out whose login it is serving.
 */
const attempts = new AsyncLocalStorage<Attempt>();

const httpClient: HttpClient = {
  async sendRequest(request) {
    const attempt = attempts.getStore();
    if (attempt === undefined) throw new AppError('INTERNAL', { detail: 'a login that nobody asked for' });
    // Authorities speak TLS only, and the endpoints of managed identities hardly ever do.
    const where = request.url.startsWith('http:') ? 'at the endpoint of managed identities' : 'at the login';
    try {
      const answer = await attempt.send(request);
      attempt.failure = loginFailure(answer, where);
      return toResponse(request, answer);
    } catch (error) {
      if (error instanceof AppError) attempt.failure = at(where, error);
      throw error;
    }
  },
};

export function createLogin({ config, deps, transport, identity, closing }: LoginDeps): Login {
  const { clock } = deps;
  let held: { readonly token: AccessToken; readonly renewAt: number } | undefined;
  const refusals = createRefusals(clock);
  let last: unknown;
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
      held = { token, renewAt: renewalOf(token, clock.now()) };
      refusals.clear();
      return token;
    } catch (thrown) {
      closing.throwIfAborted();
      const error = attempt.failure ?? asAppError(thrown);
      last = error;
      if (!healsItself(error.code)) refusals.note(error);
      throw error;
    }
  };

  return {
    throwIfRefused: refusals.check,
    refuse: refusals.note,
    credential: {
      async getToken(scopes, { claims, enableCae = false } = {}) {
        if (claims === undefined && held !== undefined && clock.now() < held.renewAt) return held.token;
        refusals.check();
        // Without the caller's signal, since it is for all, and without the tenant that the vault names: a
        // credential goes to the tenant of the configuration only.
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
    endedWith: (error) => error !== undefined && error === last,
  };
}

function failureOf(ended: Ended<Answer>): AppError | undefined {
  return 'error' in ended ? thrownError(ended) : loginFailure(ended.value, 'at the login');
}

/** What has ended by our clock is used for a while all the same: asked again, whoever gave it gives the same. */
function renewalOf({ expiresOnTimestamp, refreshAfterTimestamp }: AccessToken, now: number): number {
  const early = Math.min(EARLY_MS, Math.max(0, expiresOnTimestamp - now) / 10);
  const due = Math.min(expiresOnTimestamp - early, refreshAfterTimestamp ?? Number.POSITIVE_INFINITY);
  return Math.max(now + LEAST_MS, Number.isNaN(due) ? 0 : due);
}

function at(where: string, { code, detail, retryAfterMs, cause }: AppError): AppError {
  return new AppError(code, {
    detail: detail === undefined ? where : `${where}: ${detail}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    cause,
  });
}

/** Whatever else the vendor's library throws is its opinion of ids, certificates and answers. */
function asAppError(thrown: unknown): AppError {
  return thrown instanceof AppError
    ? thrown
    : new AppError('AUTH_FAILED', { detail: 'no login is possible' });
}

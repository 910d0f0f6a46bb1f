import type { CertificateClient } from '@azure/keyvault-certificates';
import type { KeyClient } from '@azure/keyvault-keys';
import { SecretClient } from '@azure/keyvault-secrets';
import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { badAnswer } from '../answer.ts';
import type { ProviderDeps } from '../provider.ts';
import type { Answer } from './answer.ts';
import type { AzureConfig } from './config.ts';
import { isNotFound, Refusal } from './errors.ts';
import { createHttpClient } from './http-client.ts';
import type { Login } from './login.ts';
import type { Transport } from './transport.ts';

/** The Azure SDK clients of one vault, by object type. Each client is loaded when it is first needed. */
export interface Clients {
  readonly secrets: SecretClient;
  readonly keys: KeyClient;
  readonly certificates: CertificateClient;
}

export interface KeyVault {
  /**
   * Runs one operation. Logs in if needed, and logs in again if the token is no longer accepted.
   * @throws Refusal for an error response other than 401.
   * @throws AppError for everything else; the signal's reason once it is aborted.
   */
  call<Kind extends keyof Clients, T>(
    kind: Kind,
    use: (client: Clients[Kind]) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T>;
  /**
   * Sends one request without a login. Returns the server's time in milliseconds since 1970. @throws Refusal, AppError
   */
  reach(signal: AbortSignal | undefined): Promise<number | undefined>;
}

export interface KeyVaultDeps {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly transport: Transport;
  readonly login: Login;
}

/** The name of a secret that does not exist. Used by requests that only test the connection. */
export const UNUSED_NAME = 'secretbridge-check';
/** Sovereign clouds support new API versions late. This version has all needed features. */
const SERVICE_VERSION = '7.4';
/**
 * A new token that is refused within this time, before any success, counts as a failed login. After that, it counts as
 * expired.
 */
const TRUST_NEW_TOKEN_MS = 60_000;

/**
 * A client and the state of its token. The client starts without a token, receives a challenge from the vault, and then
 * keeps the token.
 */
interface ClientState<Client> {
  readonly client: Promise<Client>;
  readonly since: number;
  hasWorked: boolean;
  /**
   * Set while the first operation runs. It resolves with the first authenticated response, or when the operation ends.
   * Other operations wait for it, because they would otherwise be sent without a token.
   */
  opening: PromiseWithResolvers<void> | undefined;
}

export function createKeyVault({ config, deps, transport, login }: KeyVaultDeps): KeyVault {
  const { clock } = deps;
  const origin = new URL(config.vaultUrl).origin;
  const options = (onAnswer?: (answer: Answer) => void) =>
    ({
      httpClient: createHttpClient(origin, deps, transport, onAnswer),
      serviceVersion: SERVICE_VERSION,
      retryOptions: { maxRetries: 0 },
      // This verification compares the host of the challenge with the vault's host, so it fails for a loopback address.
      disableChallengeResourceVerification: isLoopback(origin),
    }) as const;
  const { credential } = login;
  type Options = ReturnType<typeof options>;
  const create: { readonly [Kind in keyof Clients]: (options: Options) => Promise<Clients[Kind]> } = {
    secrets: async (clientOptions) => new SecretClient(origin, credential, clientOptions),
    keys: async (clientOptions) =>
      new (await import('@azure/keyvault-keys')).KeyClient(origin, credential, clientOptions),
    certificates: async (clientOptions) =>
      new (await import('@azure/keyvault-certificates')).CertificateClient(origin, credential, clientOptions),
  };
  const states: { [Kind in keyof Clients]?: ClientState<Clients[Kind]> } = {};
  const renew = <Kind extends keyof Clients>(kind: Kind): ClientState<Clients[Kind]> => {
    const onAnswer = ({ status }: Answer) => {
      if (status < 300 || status === 404) hasWorked(state);
    };
    const state: ClientState<Clients[Kind]> = {
      client: create[kind](options(onAnswer)),
      since: clock.now(),
      hasWorked: false,
      opening: undefined,
    };
    Object.assign(states, { [kind]: state });
    return state;
  };

  return {
    async call(kind, use, signal) {
      signal?.throwIfAborted();
      const state = states[kind] ?? renew(kind);
      try {
        return await attempt(state, use, login, signal);
      } catch (error) {
        if (!isRefusedToken(error)) throw error;
        const isCurrent = states[kind] === state;
        const mayBeStale = state.hasWorked || Math.abs(clock.now() - state.since) >= TRUST_NEW_TOKEN_MS;
        if (isCurrent && !mayBeStale) {
          login.refuse(error);
          throw error;
        }
        if (isCurrent) {
          login.forget();
          renew(kind);
        }
      }
      return attempt(states[kind] ?? renew(kind), use, login, signal);
    },
    async reach(signal) {
      let date: number | undefined;
      const onAnswer = (answer: Answer) => {
        date = answer.date;
      };
      const anonymous = { getToken: () => Promise.reject(new Challenged()) };
      const probe = new SecretClient(origin, anonymous, options(onAnswer));
      try {
        await unlessAborted(probe.getSecret(UNUSED_NAME, abortedBy(signal)), signal);
      } catch (error) {
        signal?.throwIfAborted();
        const isThere = error instanceof Challenged || isUnauthorized(error) || isNotFound(error);
        if (!isThere) throw fromClient(error);
      }
      return date;
    },
  };
}

/** Thrown when the vault sends a challenge, which proves that it is reachable. */
class Challenged extends Error {}

export function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function hasWorked(state: ClientState<unknown>): void {
  state.hasWorked = true;
  state.opening?.resolve();
}

async function attempt<Client, T>(
  state: ClientState<Client>,
  use: (client: Client) => Promise<T>,
  login: Login,
  signal: AbortSignal | undefined,
): Promise<T> {
  const ownOpening = state.hasWorked || state.opening ? undefined : Promise.withResolvers<void>();
  if (ownOpening !== undefined) state.opening = ownOpening;
  else if (!state.hasWorked) await unlessAborted(state.opening?.promise, signal);
  try {
    if (!state.hasWorked) login.throwIfRefused();
    return await unlessAborted(use(await state.client), signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Refusal) hasWorked(state);
    throw fromClient(error);
  } finally {
    if (ownOpening !== undefined) state.opening = undefined;
    ownOpening?.resolve();
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 401;
}

const refusedTokens = new WeakSet<object>();

function isRefusedToken(error: unknown): error is AppError {
  return error instanceof AppError && refusedTokens.has(error);
}

/**
 * All other errors come from the client's interpretation of a response, such as a challenge for another host or an
 * object without an ID. They may quote the response, so they are not passed on.
 */
function fromClient(error: unknown): AppError | Refusal {
  if (error instanceof AppError || error instanceof Refusal) return error;
  if (!isUnauthorized(error)) return badAnswer('it is not a Key Vault response');
  const refused = new AppError('AUTH_FAILED', { detail: 'the vault does not accept the token' });
  refusedTokens.add(refused);
  return refused;
}

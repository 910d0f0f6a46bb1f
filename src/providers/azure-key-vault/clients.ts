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

/** The vendor's clients for one vault, by the kind of its objects. Those not needed are not loaded. */
export interface Clients {
  readonly secrets: SecretClient;
  readonly keys: KeyClient;
  readonly certificates: CertificateClient;
}

export interface KeyVault {
  /**
   * Runs one operation; logs in when needed, and once more when the token is no longer accepted.
   * @throws Refusal for an answer that is no success, but for 401.
   * @throws AppError for everything else; the signal's reason once it is aborted.
   */
  ask<Kind extends keyof Clients, T>(
    kind: Kind,
    use: (client: Clients[Kind]) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T>;
  /** One request without a login. Gives the server's clock, milliseconds since 1970. @throws Refusal, AppError */
  reach(signal: AbortSignal | undefined): Promise<number | undefined>;
}

export interface KeyVaultDeps {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly transport: Transport;
  readonly login: Login;
}

/** A name that nobody has, to ask for when all that matters is whether an answer comes. */
export const UNUSED_NAME = 'secretbridge-check';
/** Sovereign clouds get new versions late; this one has everything that is asked for here. */
const SERVICE_VERSION = '7.4';
/** How long a token that was never accepted is believed to be good. */
const DOUBT_MS = 60_000;

/** A client with its token: it begins without one, asks the vault whom it trusts, and then keeps it to its end. */
interface State<Client> {
  readonly client: Promise<Client>;
  readonly since: number;
  hasWorked: boolean;
  /**
   * Ends with the first answer to somebody whom the vault knows, or with the first operation. The others wait for
   * it, or each would be sent without a token first.
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
      // Compares the host of the challenge's resource with the vault's, which a loopback address cannot pass.
      disableChallengeResourceVerification: isLoopback(origin),
    }) as const;
  const { credential } = login;
  type Options = ReturnType<typeof options>;
  const create: { readonly [Kind in keyof Clients]: (options: Options) => Promise<Clients[Kind]> } = {
    secrets: async (how) => new SecretClient(origin, credential, how),
    keys: async (how) => new (await import('@azure/keyvault-keys')).KeyClient(origin, credential, how),
    certificates: async (how) =>
      new (await import('@azure/keyvault-certificates')).CertificateClient(origin, credential, how),
  };
  const states: { [Kind in keyof Clients]?: State<Clients[Kind]> } = {};
  const renew = <Kind extends keyof Clients>(kind: Kind): State<Clients[Kind]> => {
    const onAnswer = ({ status }: Answer) => {
      if (status < 300 || status === 404) hasWorked(state);
    };
    const state: State<Clients[Kind]> = {
      client: create[kind](options(onAnswer)),
      since: clock.now(),
      hasWorked: false,
      opening: undefined,
    };
    Object.assign(states, { [kind]: state });
    return state;
  };

  return {
    async ask(kind, use, signal) {
      signal?.throwIfAborted();
      const state = states[kind] ?? renew(kind);
      try {
        return await attempt(state, use, login, signal);
      } catch (error) {
        if (!isRefusedToken(error)) throw error;
        const isCurrent = states[kind] === state;
        const mayBeStale = state.hasWorked || Math.abs(clock.now() - state.since) >= DOUBT_MS;
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
      const nobody = { getToken: () => Promise.reject(new Challenged()) };
      const probe = new SecretClient(origin, nobody, options(onAnswer));
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

/** The vault asks who we are: it is there. */
class Challenged extends Error {}

export function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function hasWorked(state: State<unknown>): void {
  state.hasWorked = true;
  state.opening?.resolve();
}

async function attempt<Client, T>(
  state: State<Client>,
  use: (client: Client) => Promise<T>,
  login: Login,
  signal: AbortSignal | undefined,
): Promise<T> {
  const own = state.hasWorked || state.opening ? undefined : Promise.withResolvers<void>();
  if (own !== undefined) state.opening = own;
  else if (!state.hasWorked) await unlessAborted(state.opening?.promise, signal);
  try {
    if (!state.hasWorked) login.throwIfRefused();
    return await unlessAborted(use(await state.client), signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Refusal) hasWorked(state);
    throw fromClient(error);
  } finally {
    if (own !== undefined) state.opening = undefined;
    own?.resolve();
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
 * What is left when our own errors are taken away is the client's opinion of an answer: a challenge for another
 * host, an object without its id. It may quote the answer, so it is not kept.
 */
function fromClient(error: unknown): AppError | Refusal {
  if (error instanceof AppError || error instanceof Refusal) return error;
  if (!isUnauthorized(error)) return badAnswer('it is not in the form of Key Vault');
  const refused = new AppError('AUTH_FAILED', { detail: 'the vault does not accept the token' });
  refusedTokens.add(refused);
  return refused;
}

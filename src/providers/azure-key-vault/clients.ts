import type { CertificateClient } from '@azure/keyvault-certificates';
import type { KeyClient } from '@azure/keyvault-keys';
import { SecretClient } from '@azure/keyvault-secrets';
import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { badAnswer } from '../answer.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AzureConfig } from './config.ts';
import { isNotFound, Refusal } from './errors.ts';
import { createHttpClient } from './http-client.ts';
import type { Login } from './login.ts';
import type { Answer, Transport } from './transport.ts';

/** The Azure SDK clients of one vault, by object type. Each client is loaded when it is first needed. */
export interface Clients {
  readonly secrets: SecretClient;
  readonly keys: KeyClient;
  readonly certificates: CertificateClient;
}

export interface KeyVaultDeps {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly transport: Transport;
  readonly login: Login;
}

/** The name of a secret that does not exist. Requests use it if they only test the connection. */
export const UNUSED_NAME = 'secretbridge-check';
/** The API version. Sovereign clouds support new versions late, and this version has all features that we need. */
const SERVICE_VERSION = '7.4';
/**
 * If the vault refuses a new token within this time and has not accepted it before, the login counts as failed. After
 * this time, a refused token counts as expired.
 */
const TRUST_NEW_TOKEN_MS = 60_000;

/** Sends requests to one vault. */
export class KeyVault {
  readonly #deps: KeyVaultDeps;
  readonly #states: { [Kind in keyof Clients]?: ClientState<Clients[Kind]> } = {};

  constructor(deps: KeyVaultDeps) {
    this.#deps = deps;
  }

  /**
   * Runs one operation. Logs in if needed. Logs in again if the vault no longer accepts the token.
   * @throws Refusal for an error response other than 401.
   * @throws AppError for every other failure.
   * @throws The signal's reason once it is aborted.
   */
  async call<Kind extends keyof Clients, T>(
    kind: Kind,
    use: (client: Clients[Kind]) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    signal?.throwIfAborted();
    const { login, deps } = this.#deps;
    const state = this.#stateOf(kind);
    try {
      return await state.attempt(use, signal);
    } catch (error) {
      if (!isRefusedToken(error)) throw error;
      const isCurrent = this.#states[kind] === state;
      const isUsed = state.hasWorked || login.isConfirmed();
      const mayBeStale = isUsed || Math.abs(deps.clock.now() - state.since) >= TRUST_NEW_TOKEN_MS;
      if (isCurrent && !mayBeStale) {
        login.refuse(error);
        throw error;
      }
      if (isCurrent) {
        login.forget();
        delete this.#states[kind];
      }
    }
    return this.#stateOf(kind).attempt(use, signal);
  }

  /**
   * Sends one request without a login. Returns the server's time in milliseconds since 1970. @throws Refusal, AppError
   */
  async reach(signal: AbortSignal | undefined): Promise<number | undefined> {
    let date: number | undefined;
    const options = clientOptions(this.#deps, (answer) => {
      date = answer.date;
    });
    const anonymous = { getToken: () => Promise.reject(new Challenged()) };
    const probe = new SecretClient(originOf(this.#deps), anonymous, options);
    try {
      await unlessAborted(probe.getSecret(UNUSED_NAME, abortedBy(signal)), signal);
    } catch (error) {
      signal?.throwIfAborted();
      const isThere = error instanceof Challenged || isUnauthorized(error) || isNotFound(error);
      if (!isThere) throw fromClient(error);
    }
    return date;
  }

  #stateOf<Kind extends keyof Clients>(kind: Kind): ClientState<Clients[Kind]> {
    const existing = this.#states[kind];
    if (existing !== undefined) return existing;
    const state = new ClientState(this.#deps, CREATE[kind]);
    Object.assign(this.#states, { [kind]: state });
    return state;
  }
}

type CreateClient<Client> = (
  url: string,
  credential: Login['credential'],
  options: ReturnType<typeof clientOptions>,
) => Promise<Client>;

const CREATE: { readonly [Kind in keyof Clients]: CreateClient<Clients[Kind]> } = {
  secrets: async (...args) => new SecretClient(...args),
  keys: async (...args) => new (await import('@azure/keyvault-keys')).KeyClient(...args),
  certificates: async (...args) =>
    new (await import('@azure/keyvault-certificates')).CertificateClient(...args),
};

function originOf({ config }: KeyVaultDeps): string {
  return new URL(config.vaultUrl).origin;
}

function clientOptions(vaultDeps: KeyVaultDeps, onAnswer: (answer: Answer) => void) {
  const { deps, transport } = vaultDeps;
  const origin = originOf(vaultDeps);
  return {
    httpClient: createHttpClient(origin, deps, transport, onAnswer),
    serviceVersion: SERVICE_VERSION,
    retryOptions: { maxRetries: 0 },
    // The SDK compares the host of the challenge with the vault's host. A loopback address would fail this comparison.
    disableChallengeResourceVerification: isLoopback(origin),
  } as const;
}

/**
 * A client and the state of its token. The client starts without a token. The vault answers its first request with a
 * challenge. Then the client gets a token and keeps it.
 */
class ClientState<Client> {
  readonly since: number;
  hasWorked = false;
  readonly #client: Promise<Client>;
  readonly #login: Login;
  /**
   * Set while the first operation runs. Resolves with the first response to a request with a token, or when the
   * operation ends. Other operations wait for this promise, because they would otherwise be sent without a token.
   */
  #opening: PromiseWithResolvers<void> | undefined;

  constructor(vaultDeps: KeyVaultDeps, create: CreateClient<Client>) {
    const { login, deps } = vaultDeps;
    const options = clientOptions(vaultDeps, ({ status }) => {
      if (status < 300 || status === 404) this.#confirm();
    });
    this.since = deps.clock.now();
    this.#login = login;
    this.#client = create(originOf(vaultDeps), login.credential, options);
  }

  async attempt<T>(use: (client: Client) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const ownOpening = this.hasWorked || this.#opening ? undefined : Promise.withResolvers<void>();
    if (ownOpening !== undefined) this.#opening = ownOpening;
    else if (!this.hasWorked) await unlessAborted(this.#opening?.promise, signal);
    try {
      if (!this.hasWorked) this.#login.throwIfRefused();
      return await unlessAborted(use(await this.#client), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Refusal) this.#confirm();
      throw fromClient(error);
    } finally {
      if (ownOpening !== undefined) this.#opening = undefined;
      ownOpening?.resolve();
    }
  }

  /** Remembers that the vault accepts the token. */
  #confirm(): void {
    this.hasWorked = true;
    this.#login.confirm();
    this.#opening?.resolve();
  }
}

/** Thrown when the vault sends a challenge. A challenge proves that the vault is reachable. */
class Challenged extends Error {}

export function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 401;
}

const refusedTokens = new WeakSet<object>();

function isRefusedToken(error: unknown): error is AppError {
  return error instanceof AppError && refusedTokens.has(error);
}

/**
 * Any other error means that the client could not interpret a response, such as a challenge for another host or an
 * object without an ID. The error may quote the response, so it is not passed on.
 */
function fromClient(error: unknown): AppError | Refusal {
  if (error instanceof AppError || error instanceof Refusal) return error;
  if (!isUnauthorized(error)) return badAnswer('it is not a Key Vault response');
  const refused = new AppError('AUTH_FAILED', { detail: 'the vault does not accept the token' });
  refusedTokens.add(refused);
  return refused;
}

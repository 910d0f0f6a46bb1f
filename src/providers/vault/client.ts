import nodeVault from 'node-vault';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { type Answer, parseJsonBody } from '../answer.ts';
import type { Operation, ProviderDeps, Settled } from '../provider.ts';
import { thrownError } from '../results.ts';
import { isVaultBody } from './answer.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus, loginBackendError } from './errors.ts';
import { createReplicationIndex } from './replication-index.ts';
import { createTransport, type TransportOptions } from './transport.ts';

/** The options of one node-vault command. Each command gets new options, because node-vault modifies them. */
export type CommandOptions = Record<string, unknown>;
export type Command = (vault: nodeVault.client, options: CommandOptions) => Promise<unknown>;

export interface CallAs {
  /** Undefined for commands that need no login. */
  readonly token?: SecretValue;
  /** False for a request to the server itself (`sys/health`). Such a request has no namespace. */
  readonly inNamespace?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly operation: Operation;
}

export interface VaultClient extends AsyncDisposable {
  /**
   * Runs one command within the store's limits. Returns the response with any status.
   * @throws AppError for connection errors.
   * @throws The signal's reason once it is aborted.
   */
  call(command: Command, as: CallAs): Promise<Answer>;
  /** Makes later calls use new connections, which use the current client certificate. */
  reconnect(): void;
}

/**
 * Creates a client. It uses node-vault for paths and commands, but has its own transport. The transport of node-vault
 * puts tokens into errors, sends them along with redirects, drops `Retry-After` and supports no signal. Our transport
 * reports every response to node-vault as a success, because the errors of node-vault quote the body.
 */
export function createClient(config: VaultConfig, deps: ProviderDeps): VaultClient {
  const replicationIndex = createReplicationIndex();
  const transport = createTransport(config, deps.clock, replicationIndex.record);
  const request = async (options: TransportOptions) => ({
    statusCode: 200,
    body: await transport.send(options),
    request: { path: '' },
  });
  const vault = nodeVault({
    endpoint: config.address.replace(/\/+$/, ''),
    noCustomHTTPVerbs: true,
    debug: () => undefined, // otherwise DEBUG=node-vault would print credentials
    'request-promise': { defaults: () => request },
  });
  // node-vault takes the defaults of these fields from VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX. The fields must
  // stay empty, because we send the token and the namespace with each call.
  Object.assign(vault, { token: '', namespace: '', pathPrefix: '' });

  return {
    call(command, { token, inNamespace = true, signal, operation }) {
      return deps.limit(
        async (limited) => {
          const headers = {
            ...requestHeaders(namespaceFor(config, operation, inNamespace), token),
            ...(token === undefined ? {} : replicationIndex.headers()),
          };
          return asAnswer(await command(vault, { headers, signal: limited }));
        },
        signal,
        operation,
        (ended) => failureOf(operation, ended),
      );
    },
    reconnect: () => transport.reconnect(),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

/** @throws AppError AUTH_FAILED if the token cannot be sent in a header. */
export function requestHeaders(
  namespace: string | undefined,
  token: SecretValue | undefined,
): Record<string, string> {
  const headers: Record<string, string> = { 'X-Vault-Request': 'true' };
  if (token !== undefined) headers['X-Vault-Token'] = headerText(token);
  if (namespace !== undefined) headers['X-Vault-Namespace'] = namespace;
  return headers;
}

/**
 * Returns the namespace for a request. A token belongs to the namespace of its login, so it is also renewed, looked up
 * and revoked there.
 */
function namespaceFor(
  { namespace, auth }: VaultConfig,
  operation: Operation,
  inNamespace: boolean,
): string | undefined {
  if (!inNamespace) return undefined;
  return operation === 'login' ? (auth.namespace ?? namespace) : namespace;
}

/**
 * Returns the error if a response shows a problem of the server. 404 shows none, because it is the normal response for
 * a missing key or mount.
 */
function failureOf(operation: Operation, ended: Settled<Answer>): AppError | undefined {
  if ('error' in ended) return thrownError(ended);
  const { status } = ended.value;
  if (status < 300 || status === 404) return undefined;
  const isVaultRejection = status === 403 || (status === 400 && isVaultBody(parseJsonBody(ended.value)));
  if (operation !== 'login') return fromStatus(ended.value);
  const error = loginBackendError(ended.value);
  if (error !== undefined) return error;
  return isVaultRejection ? new AppError('AUTH_FAILED') : fromStatus(ended.value);
}

/**
 * Returns the token as text for a header.
 * @throws AppError AUTH_FAILED if the token cannot be sent in a header, for example because it contains a newline.
 */
function headerText(token: SecretValue): string {
  const text = token.revealText('latin1');
  if (!/^[\x21-\x7e]+$/.test(text)) {
    throw new AppError('AUTH_FAILED', { detail: 'the token contains invalid characters' });
  }
  return text;
}

/**
 * Returns the result of a node-vault command with its real type. node-vault gives the result the type `any`, but the
 * result is always a response of our transport.
 */
function asAnswer(result: unknown): Answer {
  if (typeof result === 'object' && result !== null && 'status' in result && 'isJson' in result) {
    return result as Answer;
  }
  throw new AppError('INTERNAL', { detail: 'node-vault did not return the response' });
}

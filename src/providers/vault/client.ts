import nodeVault from 'node-vault';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { type Answer, tryParse } from '../answer.ts';
import type { Ended, Operation, ProviderDeps } from '../provider.ts';
import { thrownError } from '../settle.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus, isOfVault, unansweredLogin } from './errors.ts';
import { createPosition } from './position.ts';
import { createTransport, type TransportOptions } from './transport.ts';

/** The options of one command of node-vault: made anew for each, since node-vault writes into them. */
export type CommandOptions = Record<string, unknown>;
export type Command = (vault: nodeVault.client, options: CommandOptions) => Promise<unknown>;

export interface CallAs {
  /** Nobody, for what needs no login. */
  readonly token?: SecretValue;
  /** `false`: asked of the server itself (`sys/health`). */
  readonly inNamespace?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly operation: Operation;
}

export interface VaultClient extends AsyncDisposable {
  /**
   * Runs one command within the store's limits. Any status is an answer.
   * @throws AppError for what the connection did; the signal's reason once it is aborted.
   */
  call(command: Command, as: CallAs): Promise<Answer>;
  /** Calls from now on go over new connections, and so with the client certificate of now. */
  reconnect(): void;
}

/**
 * node-vault makes the paths and commands, over our own transport: its own one leaks tokens in errors, follows
 * redirects with them, drops `Retry-After` and knows no signal. The transport reports every answer as a success,
 * because node-vault's errors quote the body.
 */
export function createClient(config: VaultConfig, deps: ProviderDeps): VaultClient {
  const position = createPosition();
  const transport = createTransport(config, deps.clock, position.note);
  const request = async (options: TransportOptions) => ({
    statusCode: 200,
    body: await transport.send(options),
    request: { path: '' },
  });
  const vault = nodeVault({
    endpoint: config.address.replace(/\/+$/, ''),
    noCustomHTTPVerbs: true,
    debug: () => undefined, // DEBUG=node-vault would print credentials
    'request-promise': { defaults: () => request },
  });
  // Left out, these come from VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX. We send token and namespace per call.
  Object.assign(vault, { token: '', namespace: '', pathPrefix: '' });

  return {
    call(command, { token, inNamespace = true, signal, operation }) {
      return deps.limit(
        async (limited) => {
          const headers = {
            ...requestHeaders(namespaceFor(config, operation, inNamespace), token),
            ...(token === undefined ? {} : position.headers()),
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

/** @throws AppError AUTH_FAILED for a token that no header can carry. */
export function requestHeaders(
  namespace: string | undefined,
  token: SecretValue | undefined,
): Record<string, string> {
  const headers: Record<string, string> = { 'X-Vault-Request': 'true' };
  if (token !== undefined) headers['X-Vault-Token'] = headerText(token);
  if (namespace !== undefined) headers['X-Vault-Namespace'] = namespace;
  return headers;
}

/** A token belongs to the namespace that gave it: there it is renewed, looked up and revoked. */
function namespaceFor(
  { namespace, auth }: VaultConfig,
  operation: Operation,
  inNamespace: boolean,
): string | undefined {
  if (!inNamespace) return undefined;
  return operation === 'login' ? (auth.namespace ?? namespace) : namespace;
}

/** 404 is an answer of every day: a key, or a mount, that is not there. */
function failureOf(operation: Operation, ended: Ended<Answer>): AppError | undefined {
  if ('error' in ended) return thrownError(ended);
  const { status } = ended.value;
  if (status < 300 || status === 404) return undefined;
  const isHeard = status === 403 || (status === 400 && isOfVault(tryParse(ended.value)));
  const isRefusal = operation === 'login' && isHeard;
  if (!isRefusal) return fromStatus(ended.value);
  return unansweredLogin(ended.value) ?? new AppError('AUTH_FAILED');
}

/** @throws AppError AUTH_FAILED for a token that no header can carry, such as one with a newline inside. */
function headerText(token: SecretValue): string {
  const text = token.revealText('latin1');
  if (!/^[\x21-\x7e]+$/.test(text)) {
    throw new AppError('AUTH_FAILED', { detail: 'the token has characters that no token has' });
  }
  return text;
}

/** node-vault's commands give `any`: what our transport returned, handed through. */
function asAnswer(result: unknown): Answer {
  if (typeof result === 'object' && result !== null && 'status' in result && 'isJson' in result) {
    return result as Answer;
  }
  throw new AppError('INTERNAL', { detail: 'node-vault did not hand the answer through' });
}

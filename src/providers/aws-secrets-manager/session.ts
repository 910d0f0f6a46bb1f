import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import type { Operation, ProviderDeps } from '../provider.ts';
import { clientOptions } from './client-options.ts';
import type { AwsConfig } from './config.ts';
import { createCredentials } from './credentials.ts';
import { failureOf, fromFailure, isRefusal, toStoreError } from './errors.ts';
import { createHandler, type Handler } from './handler.ts';
import type { Identity } from './lease.ts';
import { createSts } from './sts.ts';
import { createTransport } from './transport.ts';

/** What is asked of a client: `(client, options) => client.send(new GetSecretValueCommand(…), options)`. */
export type Ask<Output, Client = SecretsManagerClient> = (
  client: Client,
  options: { readonly abortSignal: AbortSignal },
) => Promise<Output>;

export interface Session<Client = SecretsManagerClient> extends AsyncDisposable {
  /**
   * One call as the identity of the store, within its limits. Logs in when needed, and once more when AWS no longer
   * accepts the identity.
   * @throws AwsFailure for what AWS answered; AppError for everything else; the signal's reason once it is aborted.
   */
  call<Output>(
    operation: Operation,
    ask: Ask<Output, Client>,
    signal: AbortSignal | undefined,
  ): Promise<Output>;
  /** Logs in, or has done so. @throws AppError */
  ensure(signal: AbortSignal | undefined): Promise<void>;
  /** How far the clock here was ahead of the server's at the last answer, milliseconds. */
  readonly skewMs: number | undefined;
}

/** What a client of any service of AWS is made with, so that it does all by the session. */
export type ClientParts = ReturnType<typeof clientOptions> & {
  readonly requestHandler: Handler;
  readonly credentials: ReturnType<typeof withoutEnd>;
};

export function createSession(config: AwsConfig, deps: ProviderDeps): Promise<Session> {
  const { endpoint } = config;
  return openSession(
    config,
    deps,
    (parts) => new SecretsManagerClient({ ...parts, ...(endpoint === undefined ? {} : { endpoint }) }),
  );
}

/** A login of its own, as the store has it, for a client of any service. */
export async function openSession<Client>(
  config: AwsConfig,
  deps: ProviderDeps,
  create: (parts: ClientParts) => Client,
): Promise<Session<Client>> {
  const transport = await createTransport(config, deps.clock);
  const closing = new AbortController();
  const credentials = createCredentials(config, createSts(config, transport, deps, closing.signal), deps);
  const options = { ...clientOptions(config), requestHandler: createHandler(transport) };
  let latest: { readonly identity: Identity; readonly client: Client } | undefined;

  // A client for each identity. One client for all would keep credentials that do not end for its whole life, and
  // renew others in the middle of a call, which then holds its place in the limits while the login waits for one.
  const clientOf = (identity: Identity): Client => {
    if (latest?.identity !== identity)
      latest = { identity, client: create({ ...options, credentials: withoutEnd(identity) }) };
    return latest.client;
  };
  const callAs = async <Output>(
    identity: Identity,
    operation: Operation,
    ask: Ask<Output, Client>,
    signal: AbortSignal | undefined,
  ): Promise<Output> =>
    deps.limit((limited) => ask(clientOf(identity), { abortSignal: limited }), signal, operation, failureOf);

  return {
    async call(operation, ask, signal) {
      const identity = await credentials.current(signal);
      try {
        return await callAs(identity, operation, ask, signal);
      } catch (failure) {
        const next = isRefusal(failure)
          ? await credentials.replace(identity, fromFailure(failure), signal)
          : undefined;
        if (next === undefined) throw failure;
        return callAs(next, operation, ask, signal);
      }
    },
    async ensure(signal) {
      await credentials.current(signal);
    },
    get skewMs() {
      return transport.skewMs;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** The SDK would call for new ones shortly before the end; that is the lease's business. */
function withoutEnd({ accessKeyId, secretAccessKey, sessionToken }: Identity) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

/** Runs one piece of work; what AWS or the SDK threw becomes an error of ours. */
export async function asStoreError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}

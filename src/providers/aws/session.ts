import { AppError } from '../../core/errors.ts';
import type { Operation, ProviderDeps } from '../provider.ts';
import { clientOptions } from './client-options.ts';
import type { AwsConnection } from './config.ts';
import { createCredentials } from './credentials.ts';
import { failureOf, fromFailure, isAuthFailure, toStoreError } from './errors.ts';
import { createHandler, type Handler } from './handler.ts';
import type { Identity } from './lease.ts';
import { createSts } from './sts.ts';
import { createTransport } from './transport.ts';

/** An SDK call: `(client, options) => client.send(new GetSecretValueCommand(…), options)`. */
export type Ask<Output, Client> = (
  client: Client,
  options: { readonly abortSignal: AbortSignal },
) => Promise<Output>;

export interface Session<Client> extends AsyncDisposable {
  /**
   * Makes one call with the identity of the store and within the store's limits. Logs in if needed. If AWS refuses the
   * identity, logs in again and repeats the call.
   * @throws AwsFailure for error responses of AWS.
   * @throws AppError for every other failure.
   * @throws The signal's reason once it is aborted.
   */
  call<Output>(
    operation: Operation,
    ask: Ask<Output, Client>,
    signal: AbortSignal | undefined,
  ): Promise<Output>;
  /** Logs in if needed. @throws AppError */
  ensure(signal: AbortSignal | undefined): Promise<void>;
  /**
   * The difference between our clock and the server's clock at the last response, in milliseconds. Positive if our
   * clock was ahead.
   */
  readonly skewMs: number | undefined;
}

/** Options for an SDK client of any AWS service that uses this session. */
export type ClientParts = ReturnType<typeof clientOptions> & {
  readonly requestHandler: Handler;
  readonly credentials: ReturnType<typeof withoutEnd>;
};

/** Opens a session with the store's login method. Its calls use a client of any AWS service. */
export async function openSession<Client>(
  config: AwsConnection,
  deps: ProviderDeps,
  create: (parts: ClientParts) => Client,
): Promise<Session<Client>> {
  const transport = await createTransport(config, deps.clock);
  const closing = new AbortController();
  const credentials = createCredentials(config, createSts(config, transport, deps, closing.signal), deps);
  const options = { ...clientOptions(config), requestHandler: createHandler(transport) };
  let latest: { readonly identity: Identity; readonly client: Client } | undefined;

  // Each identity has its own client. If several identities shared a client, the client would never refresh credentials
  // without an expiry. It would renew all other credentials during a call, and this call would hold a permit that the
  // login may need.
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
        const next = isAuthFailure(failure)
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

/** Removes the expiry. Otherwise both the SDK and the lease would renew the credentials. */
function withoutEnd({ accessKeyId, secretAccessKey, sessionToken }: Identity) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

/** Converts errors of AWS and the SDK to AppErrors. */
export async function asStoreError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}

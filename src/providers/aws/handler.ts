import {
  type IncomingAnswer,
  JSON_FORMAT,
  type OutgoingRequest,
  type Transport,
  XML_FORMAT,
} from './transport.ts';

/** The members of the SDK's `HttpHandler` that SDK clients use. */
export interface Handler {
  readonly metadata: { readonly handlerProtocol: string };
  handle(
    request: OutgoingRequest,
    options?: { readonly abortSignal?: unknown },
  ): Promise<{ response: IncomingAnswer }>;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): Record<string, never>;
  destroy(): void;
}

/** Connects an SDK client to our transport. The signal of a call also ends it after its timeout. */
export function createHandler(transport: Transport): Handler {
  return handlerOf(async (request, abortSignal) => {
    if (!(abortSignal instanceof AbortSignal)) throw new TypeError('a call needs a signal');
    return transport.send(request, JSON_FORMAT, abortSignal);
  });
}

/**
 * Connects an STS client to our transport. The SDK's credential providers pass no signal to STS, so this handler
 * applies the store's limits and timeout.
 */
export function createStsHandler(
  transport: Transport,
  limit: <T>(call: (signal: AbortSignal) => Promise<T>) => Promise<T>,
): Handler {
  return handlerOf((request) => limit((signal) => transport.send(request, XML_FORMAT, signal)));
}

function handlerOf(
  send: (request: OutgoingRequest, abortSignal: unknown) => Promise<IncomingAnswer>,
): Handler {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    handle: async (request, options) => ({ response: await send(request, options?.abortSignal) }),
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    destroy: () => undefined, // nothing to destroy, because all clients share the transport
  };
}

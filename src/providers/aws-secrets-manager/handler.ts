import { JSON_FORMAT, XML_FORMAT } from './formats.ts';
import type { IncomingAnswer, OutgoingRequest, Transport } from './transport.ts';

/** The part of the SDK's `HttpHandler` that its clients use. */
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

/** The way of one service's client to our transport. Each call has its signal, which is also its time limit. */
export function createHandler(transport: Transport): Handler {
  return handlerOf(async (request, abortSignal) => {
    if (!(abortSignal instanceof AbortSignal)) throw new TypeError('a call needs its signal');
    return transport.send(request, JSON_FORMAT, abortSignal);
  });
}

/** STS is called from inside the SDK's credential providers, which hand no signal through: so the limit is here. */
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
    destroy: () => undefined, // the transport outlives the clients
  };
}

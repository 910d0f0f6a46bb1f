import type { Configuration } from '@kubernetes/client-node/dist/gen/configuration.js';
import type { RequestContext } from '@kubernetes/client-node/dist/gen/http/http.js';
import { parseObject } from '../core/json.ts';
import { resourceShortageOf } from '../core/system-errors.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, type KubeResponse, unavailable, unexpectedResponse } from './errors.ts';

// Client-node's generated clients build the requests. Our own client sends them, with the connections, logins, time
// limits and retries of all other requests. Each module is loaded at its first use, because the models that all modules
// import take 17 MiB.

export function authenticationApi() {
  return load(async () => {
    const api = await import('@kubernetes/client-node/dist/gen/apis/AuthenticationV1Api.js');
    return api.AuthenticationV1ApiRequestFactory;
  });
}

export function authorizationApi() {
  return load(async () => {
    const api = await import('@kubernetes/client-node/dist/gen/apis/AuthorizationV1Api.js');
    return api.AuthorizationV1ApiRequestFactory;
  });
}

export function coreApi() {
  return load(async () => {
    const api = await import('@kubernetes/client-node/dist/gen/apis/CoreV1Api.js');
    return api.CoreV1ApiRequestFactory;
  });
}

/** Serves the objects of every API group, not only custom ones, because their paths have the same form. */
export function customObjectsApi() {
  return load(async () => {
    const api = await import('@kubernetes/client-node/dist/gen/apis/CustomObjectsApi.js');
    return api.CustomObjectsApiRequestFactory;
  });
}

async function load<Api>(
  importFactory: () => Promise<new (configuration: Configuration) => Api>,
): Promise<Api> {
  try {
    const RequestFactory = await importFactory();
    const { createConfiguration } = await import('@kubernetes/client-node/dist/gen/configuration.js');
    const { ServerConfiguration } = await import('@kubernetes/client-node/dist/gen/servers.js');
    // A placeholder: our client sends the request to the address of the cluster.
    const baseServer = new ServerConfiguration('http://api-server', {});
    return new RequestFactory(createConfiguration({ baseServer }));
  } catch (cause) {
    throw unavailable(
      `cannot load the API client: ${resourceShortageOf(cause) ?? 'unexpected error'}`,
      cause,
    );
  }
}

/** Sends a request that a generated client has built. */
export async function sendTyped(
  send: KubeClient['send'],
  built: Promise<RequestContext>,
  signal: AbortSignal | undefined,
): Promise<KubeResponse> {
  const request = await built;
  const { pathname, search } = new URL(request.getUrl());
  const body = request.getBody();
  return send({
    method: request.getHttpMethod() as 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: pathname + search,
    ...(typeof body === 'string' ? { body } : {}),
    contentType: request.getHeaders()['Content-Type'],
    signal,
  });
}

/**
 * Returns the body of a response. Its fields are not validated. The parsers of the generated clients do not validate
 * either, and they drop unknown fields.
 * @throws AppError If the response has another status, or is not a JSON object.
 */
export function bodyOf<T extends object>(response: KubeResponse, status: number, subject: string): T {
  if (response.status !== status) throw errorFromResponse(response, subject);
  const body = parseObject(response.text);
  if (body === undefined) throw unexpectedResponse(subject);
  return body as T;
}

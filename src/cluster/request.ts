import { type KubeResponse, TOO_LONG } from './errors.ts';
import type { Identity } from './kubeconfig/identity.ts';
import type { StreamResponse } from './streams.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the server's address, URL-encoded. */
  readonly path: string;
  /** A text is sent unchanged. An object is sent as JSON. */
  readonly body?: object | string;
  /** Content type of the body. Default: JSON. */
  readonly contentType?: string | undefined;
  /** Content type of the response. Default: JSON. */
  readonly accept?: string | undefined;
  /** A longer response is not read to its end, and gets the status 413 (`TOO_LONG`). */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Returns the headers of a request, with those of the identity. */
export function headersOf(
  { body, contentType = 'application/json', accept = 'application/json' }: KubeRequest,
  ofIdentity: Identity['headers'],
): Record<string, string | string[]> {
  return {
    ...groupHeaders(ofIdentity),
    Accept: accept,
    'User-Agent': 'secretbridge',
    ...(body === undefined ? {} : { 'Content-Type': contentType }),
  };
}

/** Groups repeated headers into lists. */
function groupHeaders(headers: Identity['headers']): Record<string, string | string[]> {
  const all = Map.groupBy(headers, ([name]) => name);
  return Object.fromEntries(
    [...all].map(([name, [first, ...more]]) => {
      const value = first?.[1] ?? '';
      return [name, more.length === 0 ? value : [value, ...more.map(([, other]) => other)]];
    }),
  );
}

/** Reads a response to its end, unless it is longer than `maxBytes`. */
export async function readResponse(
  { statusCode: status, headers, body }: StreamResponse,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<KubeResponse> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    // Leaving the loop ends the request.
    if (length > maxBytes) return { status: TOO_LONG, headers, text: '' };
    chunks.push(chunk);
  }
  return { status, headers, text: Buffer.concat(chunks).toString('utf8') };
}

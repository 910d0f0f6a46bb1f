import { Agent, request } from 'undici';

export interface Answer<Body = unknown> {
  status: number;
  /** The parsed body when it is JSON, otherwise its text. */
  body: Body;
}

/** Sends `body` as JSON. Strings and bytes are sent unchanged. Every HTTP status counts as a success. */
export type Request = <Body = unknown>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer<Body>>;

export interface Connection {
  address: string;
  ca?: string | undefined;
  clientCertificate?: { cert: string; key: string };
  headers?: Record<string, string>;
}

export function createRequest({
  address,
  ca,
  clientCertificate,
  headers: defaultHeaders,
}: Connection): Request {
  const dispatcher = new Agent({
    // With HTTP/2, many watches would share one connection, and a fault would end all of them.
    allowH2: false,
    connect: { ...(ca === undefined ? {} : { ca }), ...clientCertificate },
  });
  return async <Body>(method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const response = await request(new URL(path, address), {
      dispatcher,
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...defaultHeaders,
        ...headers,
      },
      body: raw ? (body ?? null) : JSON.stringify(body),
      headersTimeout: 30_000,
      bodyTimeout: 30_000,
    });
    const text = await response.body.text();
    const isJson = /\bjson\b/.test(String(response.headers['content-type'] ?? ''));
    return { status: response.statusCode, body: (isJson && text !== '' ? JSON.parse(text) : text) as Body };
  };
}

/** Sends a request, and returns undefined while the server is unreachable. */
export async function tryRequest(
  send: Request,
  ...request: Parameters<Request>
): Promise<Answer | undefined> {
  try {
    return await send(...request);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    return undefined;
  }
}

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  // The list also contains the errors for an unexpected certificate and for an answer that is not HTTP. Both errors
  // mean that another program uses the port.
  return /^(ECONN|EPIPE|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|UND_ERR|HPE_|ERR_TLS|ERR_SSL|EPROTO|DEPTH_|SELF_|UNABLE_|CERT_)/.test(
    code,
  );
}

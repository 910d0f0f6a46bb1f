import type { IncomingMessage, ServerResponse } from 'node:http';
import { failure, type Reply } from './vault.ts';

/** What goes wrong between us and the service, as it looks from our side. */
export const FAULTS = [
  'bad request',
  'unauthorized',
  'forbidden',
  'forbidden by the firewall',
  'forbidden, in HTML',
  'not found, in HTML',
  'not found, elsewhere',
  'no such vault',
  'no such resource',
  'being deleted',
  'throttled',
  'throttled, for 2 seconds',
  'throttled, until a date',
  'throttled, in Latin-1',
  'server error',
  'bad gateway, in HTML',
  'unavailable',
  'unavailable, endless',
  'hang',
  'hang in the body',
  'reset',
  'reset in the body',
  'cut',
  'cut, without a length',
  'not HTTP',
  'redirect',
  'html',
  'wrong content type',
  'invalid JSON',
  'another JSON',
  'not UTF-8',
  'empty',
  'endless',
] as const;
export type Fault = (typeof FAULTS)[number];

interface Canned {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const HTML = '<!doctype html><title>Sign in</title><p>Please sign in';
const html = (status: number): Canned => ({ status, body: HTML, type: 'text/html; charset=utf-8' });
const throttled = (after?: string): Canned => ({
  ...failure(429, 'Throttled'),
  ...(after === undefined ? {} : { headers: { 'retry-after': after } }),
});

const CANNED: Partial<Record<Fault, () => Canned>> = {
  'bad request': () => failure(400, 'BadParameter'),
  unauthorized: () => failure(401, 'Unauthorized'),
  forbidden: () => failure(403, 'Forbidden', 'AccessDenied'),
  'forbidden by the firewall': () => failure(403, 'Forbidden', 'ForbiddenByFirewall'),
  'forbidden, in HTML': () => html(403),
  'not found, in HTML': () => html(404),
  'not found, elsewhere': () => ({ status: 404, body: '{"statusCode":404,"message":"Resource not found"}' }),
  'no such vault': () => failure(404, 'VaultNotFound'),
  'no such resource': () => failure(404, 'ResourceNotFound'),
  'being deleted': () => failure(409, 'Conflict', 'ObjectIsBeingDeleted'),
  throttled: () => throttled(),
  'throttled, for 2 seconds': () => throttled('2'),
  'throttled, until a date': () => throttled(new Date(Date.now() + 2_000).toUTCString()),
  'throttled, in Latin-1': () => ({
    ...throttled('2'),
    body: Buffer.from('<p>Trop de requêtes', 'latin1'),
    type: 'text/html; charset=iso-8859-1',
  }),
  'server error': () => failure(500, 'InternalServerError'),
  'bad gateway, in HTML': () => html(502),
  unavailable: () => ({ status: 503, body: '' }),
  redirect: () => ({ status: 307, body: '', headers: { location: 'https://127.0.0.1:9/elsewhere' } }),
  html: () => html(200),
  'wrong content type': () => ({
    status: 200,
    body: '{"value":"a","id":"https://v/secrets/a/b"}',
    type: 'text/plain',
  }),
  'invalid JSON': () => ({ status: 200, body: '{"value":"mArKeR-53cr3t-vAluE"' }),
  'another JSON': () => ({ status: 200, body: '{"ok":true}' }),
  'not UTF-8': () => ({ status: 200, body: Uint8Array.of(0x22, 0xff, 0xfe, 0x22) }),
  empty: () => ({ status: 200, body: '' }),
};

/** The answer, or what the fault makes of it. */
export function deliver(
  reply: Reply,
  fault: Fault | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  onHang: () => void,
): void {
  const canned = fault === undefined ? reply : CANNED[fault]?.();
  if (canned !== undefined) {
    const type = 'type' in canned ? canned.type : undefined;
    outgoing.writeHead(canned.status, {
      'content-type': type ?? 'application/json; charset=utf-8',
      ...canned.headers,
    });
    outgoing.end(canned.body);
    return;
  }
  if (fault === 'hang') onHang();
  else if (fault === 'reset') incoming.socket.destroy();
  else if (fault === 'not HTTP') incoming.socket.end('220 mail.example.org ESMTP\r\n');
  else if (fault === 'endless') endless(outgoing, 200);
  else if (fault === 'unavailable, endless') endless(outgoing, 503);
  else cutShort(reply, fault, outgoing, onHang);
}

/** Sends the true answer, but not the end of it. */
function cutShort(
  reply: Reply,
  fault: Fault | undefined,
  outgoing: ServerResponse,
  onHang: () => void,
): void {
  const body = Buffer.from(reply.body);
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const headers = { 'content-type': 'application/json', ...reply.headers };
  if (fault === 'cut, without a length') {
    outgoing.useChunkedEncodingByDefault = false;
    outgoing.writeHead(reply.status, { ...headers, connection: 'close' });
    outgoing.end(half);
    return;
  }
  outgoing.writeHead(reply.status, { ...headers, 'content-length': body.byteLength });
  outgoing.write(half, () => {
    if (fault === 'cut') outgoing.socket?.end();
    if (fault === 'reset in the body') outgoing.socket?.destroy();
    if (fault === 'hang in the body') onHang();
  });
}

function endless(outgoing: ServerResponse, status: number): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(1024 * 1024, 0x20);
  const more = () => {
    while (!outgoing.destroyed && outgoing.write(chunk));
  };
  outgoing.on('drain', more);
  outgoing.on('error', () => undefined);
  more();
}

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Issued } from './certificates.ts';
import { listen } from './loopback.ts';
import type { VaultServer } from './vault-server.ts';

/**
 * A fake of the event stream of Vault Enterprise (`sys/events/subscribe`). It passes other requests on to another
 * Vault. It has its own implementation of WebSocket, so that a test can make it violate the protocol.
 */
export interface VaultEvents extends AsyncDisposable {
  readonly address: string;
  /** The path and the authentication headers of each received handshake. */
  readonly handshakes: readonly Handshake[];
  /** The number of open streams. */
  readonly streams: number;
  /** If set, every handshake gets this answer instead of a successful one. */
  refuse: { readonly status: number; readonly location?: string } | undefined;
  /** Whether the server ignores everything that it receives, including pings. */
  silent: boolean;
  /** Sends an event in the format of Vault 1.16 to each stream. */
  send(type: string, path: string, more?: Readonly<Record<string, unknown>>): void;
  /** Sends a text frame with any content to each stream. */
  sendText(text: string): void;
  /** Sends bytes to each stream, without a frame around them. */
  sendBytes(bytes: Uint8Array): void;
  /** Cuts the streams without a close frame. */
  drop(): void;
  /** Ends the streams with a close frame. */
  end(code: number): void;
}

export interface Handshake {
  readonly url: string;
  readonly token: string | undefined;
  readonly namespace: string | undefined;
}

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

/** @param tls The certificate for HTTPS. Without it, the server uses HTTP. */
export async function startVaultEvents(vault: VaultServer, tls?: Issued): Promise<VaultEvents> {
  const streams = new Set<Duplex>();
  const handshakes: Handshake[] = [];
  const state: { refuse: VaultEvents['refuse']; silent: boolean } = { refuse: undefined, silent: false };

  const onRequest = (request: IncomingMessage, response: ServerResponse) =>
    void forward(vault, request, response);
  const server = tls === undefined ? createServer(onRequest) : createSecureServer({ ...tls }, onRequest);
  server.on('tlsClientError', () => undefined);
  server.on('upgrade', (request, socket) => {
    const token = one(request, 'x-vault-token');
    handshakes.push({ url: request.url ?? '', token, namespace: one(request, 'x-vault-namespace') });
    const isKnown = token !== undefined && vault.tokens.has(token);
    const refuse = state.refuse ?? (isKnown ? undefined : { status: 403 });
    if (refuse !== undefined) {
      const { status, location } = refuse;
      const body = '{"errors":["mArKeR"]}';
      socket.end(
        `HTTP/1.1 ${status} No\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n` +
          `${location === undefined ? '' : `location: ${location}\r\n`}connection: close\r\n\r\n${body}`,
      );
      return;
    }
    const accept = createHash('sha1')
      .update(`${one(request, 'sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n' +
        `sec-websocket-accept: ${accept}\r\n\r\n`,
    );
    streams.add(socket);
    socket.on('close', () => streams.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end()); // otherwise an HTTP server would keep its side of the socket open
    socket.on('data', (chunk: Buffer) => {
      if (state.silent) return;
      // On loopback, a small frame of a client arrives in one chunk. So the first byte of the chunk is the first byte
      // of the frame.
      if (((chunk[0] ?? 0) & 0xf) === PING) socket.write(frame(PONG, Buffer.alloc(0)));
      if (((chunk[0] ?? 0) & 0xf) === CLOSE) socket.end(frame(CLOSE, Buffer.alloc(0)));
    });
  });
  const port = await listen(server);

  const sendBytes = (bytes: Uint8Array): void => {
    for (const stream of streams) stream.write(bytes);
  };
  const sendText = (text: string): void => sendBytes(frame(TEXT, Buffer.from(text)));
  return {
    address: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    handshakes,
    get streams() {
      return streams.size;
    },
    get refuse() {
      return state.refuse;
    },
    set refuse(value) {
      state.refuse = value;
    },
    get silent() {
      return state.silent;
    },
    set silent(value) {
      state.silent = value;
    },
    send: (type, path, more) => sendText(eventText(type, path, more)),
    sendText,
    sendBytes,
    drop() {
      for (const stream of streams) stream.destroy();
    },
    end(code) {
      const reason = Buffer.alloc(2);
      reason.writeUInt16BE(code);
      for (const stream of streams) stream.end(frame(CLOSE, reason));
    },
    async [Symbol.asyncDispose]() {
      for (const stream of streams) stream.destroy();
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** https://developer.hashicorp.com/vault/docs/concepts/events */
export function eventText(type: string, path: string, more: Readonly<Record<string, unknown>> = {}): string {
  const [mount = ''] = path.split('/');
  return JSON.stringify({
    id: 'bd8ed35a-4a3c-3c52-5e31-0d9d4e8b1c7a',
    source: 'vault://cluster-1',
    specversion: '1.0',
    type: '*',
    data: {
      event: {
        id: 'bd8ed35a-4a3c-3c52-5e31-0d9d4e8b1c7a',
        metadata: { data_path: path, modified: 'true', operation: type.split('/')[1], path },
      },
      event_type: type,
      plugin_info: { mount_class: 'secret', mount_accessor: 'kv_1', mount_path: `${mount}/`, plugin: 'kv' },
      ...more,
    },
    datacontentype: 'application/cloudevents',
    time: '2026-09-12T15:19:49.394915-07:00',
  });
}

/** Returns a frame (RFC 6455, section 5.2). A server does not mask its frames. */
function frame(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 127, ...lengthOf(payload.length)]);
  return Buffer.concat([head, payload]);
}

function lengthOf(size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(size));
  return bytes;
}

/** Returns only the header of a frame. The header claims this size. */
export function hugeFrame(size: number): Buffer {
  return Buffer.concat([Buffer.from([0x80 | TEXT, 127]), lengthOf(size)]);
}

function one(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function forward(
  vault: VaultServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body: Buffer[] = [];
  for await (const chunk of request) body.push(chunk as Buffer);
  const headers = Object.fromEntries(
    ['x-vault-token', 'x-vault-namespace', 'content-type'].flatMap((name) => {
      const value = one(request, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const answer = await fetch(vault.address + (request.url ?? ''), {
    method: request.method ?? 'GET',
    headers,
    ...(body.length === 0 ? {} : { body: Buffer.concat(body) }),
  });
  const text = await answer.text();
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text);
}

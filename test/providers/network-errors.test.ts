import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { createServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { Agent, request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { fromNetwork as fromAws } from '../../src/providers/aws/errors.ts';
import { fromNetwork } from '../../src/providers/network-errors.ts';
import { fromNetwork as fromVault } from '../../src/providers/vault/errors.ts';
import { listen } from '../fakes/loopback.ts';

const withCode = (code: string) => Object.assign(new Error('MARKER'), { code, data: 'MARKER' });

/** Starts a server. It passes each connection to the given function. */
async function serve(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  const port = await listen(server);
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * The HTTP clients that our providers use. Each function returns the error that the client throws, or undefined if
 * there was a response.
 */
const CLIENTS: readonly (readonly [string, (url: string) => Promise<unknown>])[] = [
  [
    'undici',
    async (url) => {
      const dispatcher = new Agent();
      try {
        return await (await request(url, { dispatcher })).body.text().then(() => undefined);
      } catch (thrown) {
        return thrown;
      } finally {
        await dispatcher.destroy();
      }
    },
  ],
  [
    'node:http',
    (url) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const get = url.startsWith('https:') ? https.get : http.get;
      get(url, { agent: false }, (answer) => {
        answer
          .on('error', resolve)
          .on('end', () => resolve(undefined))
          .resume();
      }).on('error', resolve);
      return promise;
    },
  ],
];

describe.each(CLIENTS)('a connection error of %s', (_, get) => {
  it.each<[string, (socket: Socket) => void, ErrorCode, string]>([
    ['closes without a response', (socket) => socket.destroy(), 'STORE_UNAVAILABLE', 'closed before'],
    ['resets', (socket) => socket.resetAndDestroy(), 'STORE_UNAVAILABLE', 'closed before'],
    [
      'closes during the response',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'),
      'STORE_UNAVAILABLE',
      'closed before',
    ],
    [
      'closes during a chunk',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{'),
      'STORE_UNAVAILABLE',
      'closed before',
    ],
    ['sends something else', (socket) => socket.end('220 mail.internal\r\n'), 'BAD_ANSWER', 'not HTTP'],
    [
      'sends endless headers',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\na: ${'a'.repeat(100_000)}`),
      'BAD_ANSWER',
      'headers are too large',
    ],
  ])('names the cause in the error if the server %s', async (_, answer, code, words) => {
    await using server = await serve(answer);
    const error = fromNetwork(await get(`http://${server.host}/`));
    expect(error).toMatchObject({ code, detail: expect.stringContaining(words) });
  });

  it('names the cause in the error if the server does not use TLS', async () => {
    await using server = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const thrown = await get(`https://${server.host}/`);
    expect(fromNetwork(thrown)).toMatchObject({ code: 'TLS_FAILED', detail: 'the server does not use TLS' });
    expect(fromVault(thrown).detail).toBe('the server does not use TLS; is its address `http`?');
  });

  // The numbers are TLS alerts (RFC 8446, section 6.2).
  it.each([
    ['requires another version', 70, 'the TLS handshake failed'],
    ['does not know our issuer', 48, 'the server does not accept our client certificate'],
    ['rejects our expired certificate', 45, 'the server does not accept our client certificate'],
    ['requires a client certificate', 116, 'the server requires a client certificate'],
  ])('names the cause in the error if the server %s', async (_, alert, detail) => {
    await using server = await serve((socket) => socket.end(Buffer.of(0x15, 3, 3, 0, 2, 2, alert)));
    const error = fromNetwork(await get(`https://${server.host}/`));
    expect(error).toMatchObject({ code: 'TLS_FAILED', detail });
  });

  it.each(['127.0.0.1', 'localhost'])(
    'names the cause in the error if nothing listens at %s',
    async (host) => {
      const error = fromNetwork(await get(`http://${host}:1/`));
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', detail: 'the connection was refused' });
    },
  );
});

describe('the error code for a network error', () => {
  it.each<[ErrorCode, string, readonly string[]]>([
    ['STORE_UNAVAILABLE', 'the host name cannot be resolved (DNS)', ['ENOTFOUND']],
    ['STORE_UNAVAILABLE', 'the host name cannot be resolved at the moment (DNS)', ['EAI_AGAIN']],
    ['STORE_UNAVAILABLE', 'there is no route to the host', ['EHOSTUNREACH', 'ENETUNREACH']],
    [
      'STORE_UNAVAILABLE',
      'the connection was closed before the response was complete',
      ['EPIPE', 'ECONNRESET'],
    ],
    ['TIMEOUT', 'the connection timed out', ['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT']],
    ['TIMEOUT', 'the response did not start in time', ['UND_ERR_HEADERS_TIMEOUT']],
    ['TIMEOUT', 'the response did not end in time', ['UND_ERR_BODY_TIMEOUT']],
    ['TLS_FAILED', 'the server certificate is for another name', ['ERR_TLS_CERT_ALTNAME_INVALID']],
    ['TLS_FAILED', 'the server certificate has expired, or the local clock is wrong', ['CERT_HAS_EXPIRED']],
    [
      'TLS_FAILED',
      'the server certificate is not valid yet, or the local clock is wrong',
      ['CERT_NOT_YET_VALID'],
    ],
    ['TLS_FAILED', 'the server certificate is revoked', ['CERT_REVOKED']],
    [
      'TLS_FAILED',
      'the issuer of the server certificate is not trusted',
      [
        'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
        'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
        'SELF_SIGNED_CERT_IN_CHAIN',
        'DEPTH_ZERO_SELF_SIGNED_CERT',
        'CERT_SIGNATURE_FAILURE',
      ],
    ],
    [
      'TLS_FAILED',
      'the server certificate or one of its issuers is not valid for this purpose',
      ['INVALID_PURPOSE', 'INVALID_CA', 'PATH_LENGTH_EXCEEDED'],
    ],
    ['TLS_FAILED', 'the server requires a client certificate', ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED']],
    [
      'TLS_FAILED',
      'the server does not accept our client certificate',
      [
        'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
        'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
        'ERR_SSL_SSL/TLS_ALERT_UNSUPPORTED_CERTIFICATE',
        'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED',
      ],
    ],
    ['TLS_FAILED', 'the client certificate and its key do not match', ['ERR_OSSL_X509_KEY_VALUES_MISMATCH']],
    ['TLS_FAILED', 'a certificate or key file is not valid PEM', ['ERR_OSSL_PEM_NO_START_LINE']],
    [
      'TLS_FAILED',
      'the TLS handshake failed',
      ['EPROTO', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'ERR_TLS_X'],
    ],
    ['BAD_ANSWER', 'the response is not HTTP', ['HPE_INVALID_CONSTANT']],
    ['STORE_UNAVAILABLE', 'the connection failed', ['ENEW', '', 'constructor', '__proto__']],
  ])('converts network errors to the code %s with the detail "%s"', (code, detail, codes) => {
    for (const one of codes) expect(fromNetwork(withCode(one))).toMatchObject({ code, detail });
  });

  it.each<[string, unknown]>([
    ['the cause', new TypeError('fetch failed', { cause: withCode('CERT_REVOKED') })],
    ['the first attempt', new AggregateError([withCode('CERT_REVOKED'), withCode('EPIPE')])],
    ['several attempts', Object.assign(new AggregateError([withCode('EPIPE')]), { code: 'CERT_REVOKED' })],
    ['a nested cause', new Error('a', { cause: new AggregateError([withCode('CERT_REVOKED')]) })],
  ])('takes the code of a network error from %s', (_, thrown) => {
    expect(fromNetwork(thrown).detail).toBe('the server certificate is revoked');
  });

  it.each([undefined, null, 'text', new Error('MARKER'), new AggregateError([]), withCode('ENEW')])(
    'converts a network error with an unknown code to STORE_UNAVAILABLE: %s',
    (thrown) => {
      expect(fromNetwork(thrown)).toMatchObject({ code: 'STORE_UNAVAILABLE', category: 'retry' });
    },
  );
});

describe('the message for a network error', () => {
  it('keeps only the code of the original error', () => {
    const error = fromNetwork(new Error('MARKER', { cause: withCode('HPE_INVALID_CONSTANT') }));
    expect(error.cause).toMatchObject({ message: 'HPE_INVALID_CONSTANT' });
    expect(
      inspect({ ...error, cause: error.cause, message: error.message, stack: error.stack }),
    ).not.toContain('MARKER');
  });

  it('uses the same message for every store, except for hints about the settings of the store', () => {
    const details = (code: string) =>
      [fromVault, (error: Error) => fromAws(error, { region: 'eu-wst-1' }), fromNetwork].map(
        (convert) => convert(withCode(code)).detail,
      );
    const unresolved = 'the host name cannot be resolved (DNS)';
    const region = 'AWS has no region `eu-wst-1` that we know; did you mean `eu-west-1`?';
    expect(details('ENOTFOUND')).toEqual([unresolved, `${unresolved}; ${region}`, unresolved]);
    const notTls = 'the server does not use TLS';
    const hinted = `${notTls}; is its address \`http\`?`;
    expect(details('ERR_SSL_WRONG_VERSION_NUMBER')).toEqual([hinted, hinted, notTls]);
    expect(new Set(details('CERT_HAS_EXPIRED')).size).toBe(1);
  });
});

import { request } from 'node:http';
import { createServer } from 'node:https';
import type { Issued } from '../../fakes/certificates.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';

export interface TlsProxy extends AsyncDisposable {
  readonly address: string;
  /** Uses this certificate for connections from now on. */
  useCertificate(certificate: Issued): void;
}

/** A TLS proxy in front of a server that has no TLS. */
export async function startTlsProxy(upstream: string, certificate: Issued): Promise<TlsProxy> {
  const server = createServer(certificate, (incoming, outgoing) => {
    const { host: _, ...headers } = incoming.headers;
    const call = request(
      new URL(incoming.url ?? '/', upstream),
      { method: incoming.method ?? 'GET', headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    call.on('error', () => outgoing.destroy());
    incoming.pipe(call);
  });
  const port = await listen(server);
  return {
    address: `https://127.0.0.1:${port}`,
    useCertificate: (next) => server.setSecureContext(next),
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

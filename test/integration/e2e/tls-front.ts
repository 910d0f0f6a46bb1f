import { request } from 'node:http';
import { createServer } from 'node:https';
import type { Issued } from '../../fakes/certificates.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';

export interface TlsFront extends AsyncDisposable {
  readonly address: string;
  /** From the next connection on. */
  show(certificate: Issued): void;
}

/** Puts TLS before a server that has none. */
export async function startTlsFront(upstream: string, certificate: Issued): Promise<TlsFront> {
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
    show: (next) => server.setSecureContext(next),
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

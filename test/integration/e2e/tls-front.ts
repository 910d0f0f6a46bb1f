import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Issued } from '../../fakes/certificates.ts';

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
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `https://127.0.0.1:${port}`,
    show: (next) => server.setSecureContext(next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

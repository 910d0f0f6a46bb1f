import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (request: Seen, response: ServerResponse) => void;

/** A server on loopback whose responses the test defines, and a kubeconfig for this server. */
export interface ApiServer extends AsyncDisposable {
  readonly address: string;
  readonly folder: string;
  readonly kubeconfig: string;
  readonly seen: readonly Seen[];
  readonly connections: () => number;
  answer(with_: Answer): void;
}

export async function startApiServer(user: object = { token: 'a-token' }): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-cluster-'));
  const seen: Seen[] = [];
  let connections = 0;
  let answer: Answer = (_, response) => response.writeHead(500).end();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = '', url = '', headers } = request;
    const received = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
    seen.push(received);
    answer(received, response);
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText({ server: address }, user));
  return {
    address,
    folder,
    kubeconfig,
    seen,
    connections: () => connections,
    answer(with_) {
      answer = with_;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await rm(folder, { recursive: true });
    },
  };
}

export function kubeconfigText(
  cluster: object,
  user: object,
  context: object = { namespace: 'bridge' },
): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
    'current-context': 'x',
  });
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Answer {
  return (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A `Status` object: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export function status(code: number, reason: string, details: object = {}, message = ''): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details };
}

export function secret(part: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'app', namespace: 'team', uid: 'u1', resourceVersion: '7' },
    type: 'Opaque',
    ...part,
  };
}

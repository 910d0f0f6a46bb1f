import { type ApiServer, json, secret, status } from '../cluster/api-server.ts';
import { type Bench, HEAD, openBench } from './harness.ts';

/** A bench on a cluster whose namespace `bridge` contains only the given Secrets. */
export async function openBridgeBench(
  api: ApiServer,
  config: string,
  secrets: Readonly<Record<string, object>> = {},
): Promise<Bench> {
  api.answer((request, response) => {
    const name = /^\/api\/v1\/namespaces\/bridge\/secrets\/(\w+)$/.exec(request.url)?.[1];
    const data = name === undefined ? undefined : secrets[name];
    const metadata = { name, namespace: 'bridge', uid: 'u1', resourceVersion: '7' };
    const answer =
      name === undefined
        ? json(200, { major: '1' })
        : data === undefined
          ? json(404, status(404, 'NotFound', { kind: 'secrets', name }))
          : json(200, secret({ metadata, data }));
    answer(request, response);
  });
  const cluster = `{ kind: kubernetes, kubeconfig: '${api.kubeconfig}' }`;
  const bench = await openBench(HEAD.replace('{ kind: directory, path: ./cluster }', cluster) + config);
  bench.clock.set(Date.now());
  return bench;
}

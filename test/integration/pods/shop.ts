import { createHmac } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../docs/markdown.ts';
import { isReady, type PodCluster } from './pod-cluster.ts';

const EXAMPLE = join(ROOT, 'examples/python-service');
/** The three ways in which the example reads its Secret. They are the names of its manifests. */
export const WAYS = ['environment', 'files', 'api'] as const;
export type Way = (typeof WAYS)[number];

/** Creates the Deployments of `docs/how-to/use-from-an-application.md`, with the manifests as they are. */
export async function deployShop(pods: PodCluster): Promise<void> {
  const folder = join(EXAMPLE, 'shop');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.py'));
  const code = await Promise.all(
    files.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const),
  );
  await pods.apply('shop', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'shop-code' },
    data: Object.fromEntries(code),
  });
  for (const way of WAYS) {
    const text = await readFile(join(EXAMPLE, 'manifests', `${way}.yaml`), 'utf8');
    await pods.apply('shop', ...parseAllDocuments(text).map((document) => document.toJS() as object));
  }
}

/** Returns whether every ready pod of a Deployment signs with this key, and there are two of them. */
export async function signsWith(pods: PodCluster, way: Way, key: string): Promise<boolean> {
  const running = (await pods.pods('shop', `app=shop-${way}`)).filter(isReady);
  const expected = createHmac('sha256', key).update('hello').digest('hex');
  const signatures = await Promise.all(running.map(({ status }) => sign(status.podIP ?? '')));
  return signatures.length === 2 && signatures.every((signature) => signature === expected);
}

async function sign(address: string): Promise<string | undefined> {
  // A pod may end between the list and the request.
  const answer = await request(`http://${address}:8000/sign`, { method: 'POST', body: 'hello' }).catch(
    () => undefined,
  );
  const { signature } = ((await answer?.body.json()) ?? {}) as { signature?: string };
  return signature;
}

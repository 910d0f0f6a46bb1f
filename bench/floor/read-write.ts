import { readFile } from 'node:fs/promises';
import { createRequest } from '../../test/integration/services/http.ts';
import { assertStatus } from '../../test/integration/services/kubernetes-api.ts';
import type { Lab } from '../world/lab.ts';
import { FIELD } from '../world/secret-watch.ts';

/** Writes a value to a Secret with one request on a kept-alive connection. The first write creates the Secret. */
export type Write = (name: string, value: string) => Promise<void>;

export async function createBareWriter({ kubernetes }: Lab, namespace: string): Promise<Write> {
  const request = createRequest({
    address: kubernetes.address,
    ca: await readFile(kubernetes.caFile, 'utf8'),
    headers: { authorization: `Bearer ${kubernetes.adminToken}` },
  });
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const made = new Set<string>();
  return async (name, value) => {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      data: { [FIELD]: Buffer.from(value).toString('base64') },
    };
    const answer = made.has(name)
      ? await request('PUT', `${path}/${name}`, secret)
      : await request('POST', path, secret);
    assertStatus(answer, made.has(name) ? 200 : 201, 'a Secret');
    made.add(name);
  };
}

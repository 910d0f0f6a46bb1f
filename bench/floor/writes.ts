import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assertStatus } from '../../test/integration/services/kubernetes-api.ts';
import type { Lab } from '../world/lab.ts';
import { runNode, type Workspace } from '../world/program.ts';
import type { Usage } from '../world/usage.ts';

interface RawSecret {
  readonly metadata: { readonly name: string; readonly labels: object; readonly annotations: object };
  readonly type: string;
  readonly data: object;
}

/** Copies the Secrets of one namespace to another with a plain loop of server-side applies. */
export async function applyAgain(
  lab: Lab,
  workspace: Workspace,
  { from, to, concurrency }: { readonly from: string; readonly to: string; readonly concurrency: number },
): Promise<Usage & { readonly ms: number }> {
  const answer = await lab.request<{ items: readonly RawSecret[] }>(
    'GET',
    `/api/v1/namespaces/${from}/secrets`,
  );
  assertStatus(answer, 200, 'the Secrets');
  const secrets = answer.body.items.map(({ metadata: { name, labels, annotations }, type, data }) => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels, annotations }, type, data };
    return { name, body: JSON.stringify(secret) };
  });
  const { address, caFile, adminToken: token } = lab.kubernetes;
  const path = join(workspace.folder, 'floor.json');
  await writeFile(path, JSON.stringify({ address, caFile, token, namespace: to, concurrency, secrets }));
  const { stdout, ...used } = await runNode([join(import.meta.dirname, 'apply.ts'), path], workspace);
  return { ...used, ms: (JSON.parse(stdout) as { ms: number }).ms };
}

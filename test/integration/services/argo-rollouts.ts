import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { type GoPrograms, installGoProgram } from './go-program.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { createRequest, tryRequest } from './http.ts';
import { assertStatus } from './kubernetes-api.ts';
import type { ControlledCluster } from './kubernetes-controllers.ts';
import { type Lifetime, until } from './service.ts';

const ARGO_ROLLOUTS: GoPrograms = {
  module: 'argo-rollouts',
  versionOf: 'github.com/argoproj/argo-rollouts',
  title: 'the controller of Argo Rollouts',
  seconds: 300,
  programs: { 'rollouts-controller': 'github.com/argoproj/argo-rollouts/cmd/rollouts-controller' },
  // The definitions of the custom resources.
  files: 'manifests/crds',
};
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Starts the controller of Argo Rollouts for a cluster, with its custom resources. */
export async function startArgoRollouts({ request, kubeconfig }: ControlledCluster): Promise<Lifetime> {
  const folder = await installGoProgram(ARGO_ROLLOUTS);
  const definitions = join(folder, 'manifests', 'crds');
  const yaml = { 'content-type': 'application/yaml' };
  for (const file of (await readdir(definitions)).filter((name) => name.endsWith('-crd.yaml'))) {
    const text = await readFile(join(definitions, file), 'utf8');
    assertStatus(await request('POST', DEFINITIONS, text, yaml), 201, `create ${file}`);
  }
  await until('The definition of Rollouts', 30_000, async () => {
    const { status } = await request('GET', '/apis/argoproj.io/v1alpha1/rollouts');
    return status === 200;
  });
  return retryOnPortClash(() =>
    startGuarded('argo-rollouts', async (guard) => {
      const healthPort = await freePort();
      const controller = guard.start({
        name: 'rollouts-controller',
        command: join(folder, 'rollouts-controller'),
        args: [
          `--kubeconfig=${kubeconfig}`,
          '--leader-elect=false',
          `--healthzPort=${healthPort}`,
          `--metricsPort=${await freePort()}`,
        ],
        env: {},
      });
      const send = createRequest({ address: `http://127.0.0.1:${healthPort}` });
      await until('The start of Argo Rollouts', 60_000, async () => {
        await assertStarting(controller);
        return (await tryRequest(send, 'GET', '/healthz'))?.status === 200;
      });
      return {};
    }),
  );
}

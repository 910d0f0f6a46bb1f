import { describe, expect, it } from 'vitest';
import { FORBIDDEN, startConfigMapServer } from '../fakes/config-map-server.ts';
import { openBench } from './harness.ts';

const CONFIG = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: kubernetes, kubeconfig: KUBECONFIG }
stores: [ { name: local, kind: files, path: ./store } ]
include:
  - { configMaps: { matchLabels: { team: shop } }, namespaces: [shop], stores: [local], keys: ['{namespace}/**'] }
`;
const LABELS = { team: 'shop' };
const text = (name: string) =>
  `mappings: [ { name: ${name}, data: { A: { store: local, key: shop/a.json, property: a } } } ]\n`;

async function openTeam() {
  const server = await startConfigMapServer('shop');
  server.put('shop', 'app', { labels: LABELS, data: { 'mappings.yaml': text('db') } });
  const bench = await openBench(CONFIG.replace('KUBECONFIG', server.kubeconfig));
  return {
    server,
    bench,
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("`validate` with teams' ConfigMaps", () => {
  it('checks the ConfigMaps, and names the ConfigMap of each problem', async () => {
    await using team = await openTeam();
    const valid = await team.bench.run('validate');
    expect([valid.code, valid.stdout]).toEqual([
      0,
      'The configuration is valid: 1 store, 1 mapping, 1 target.\n',
    ]);
    team.server.put('shop', 'bad', { labels: LABELS, data: { 'mappings.yml': '' } });
    const { code, json } = await team.bench.run('validate', '--output', 'json');
    expect(code).toBe(3);
    expect(json).toMatchObject({ problems: [{ file: 'configmap:shop/bad', line: 1, column: 1 }] });
    expect((await team.bench.run('validate')).stdout).toContain('configmap:shop/bad:1:1');
  });

  it('warns if it cannot read them, because the files are valid all the same', async () => {
    await using team = await openTeam();
    team.server.answer('list', FORBIDDEN);
    const { code, json } = await team.bench.run('validate', '--output', 'json');
    expect(code).toBe(0);
    expect(json).toMatchObject({ valid: true, warnings: [{ code: 'CLUSTER_FORBIDDEN' }] });
  });

  it('warns if there is no cluster here', async () => {
    await using bench = await openBench(CONFIG.replace('KUBECONFIG', './missing'));
    const { code, json } = await bench.run('validate', '--output', 'json');
    expect(code).toBe(0);
    const { warnings } = json as { readonly warnings: readonly { readonly code: string }[] };
    expect(warnings.map((warning) => warning.code)).toContain('CLUSTER_UNAVAILABLE');
  });
});

describe("`rbac` with teams' ConfigMaps", () => {
  it('prints the rights of the namespace, and says that every ConfigMap can then be read', async () => {
    await using team = await openTeam();
    const { code, stdout } = await team.bench.run('rbac');
    expect(code).toBe(0);
    expect(stdout).toContain('every ConfigMap in the namespace shop');
  });

  it('prints these rights before it has them itself', async () => {
    await using team = await openTeam();
    team.server.answer('list', FORBIDDEN);
    const { code, stdout, stderr } = await team.bench.run('rbac');
    expect(code).toBe(0);
    expect(stdout).toContain('every ConfigMap in the namespace shop');
    expect(stderr).toContain('warning CLUSTER_FORBIDDEN: configmap:shop cannot be read');
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openBench } from '../../cli/harness.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import {
  CHART,
  filesOf,
  helm,
  isHook,
  NAMESPACE,
  one,
  type Rendered,
  render,
  type Template,
  templateOf,
  VALUE_SETS,
} from './chart.ts';
import { helmRuns } from './helm-install.ts';

const CASES = [...VALUE_SETS];
/** Their definitions are no part of Kubernetes. */
const FOREIGN_KINDS = new Set(['ServiceMonitor', 'PrometheusRule']);
const RBAC_KINDS = new Set(['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
const POD_KINDS = new Set(['Deployment', 'Job']);
const CLUSTER_WIDE = new Set(['ClusterRole', 'ClusterRoleBinding']);
const PLURALS: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies' };

function urlOf({ apiVersion, kind, metadata }: Rendered): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const within = CLUSTER_WIDE.has(kind) ? '' : `/namespaces/${metadata.namespace ?? NAMESPACE}`;
  return `${root}${within}/${plural}/${metadata.name}`;
}

/** The rendered configuration in a folder, as the pod has it, and the command line on it. */
async function openRendered(objects: readonly Rendered[]) {
  const bench = await openBench();
  const { main, tenants } = filesOf(objects);
  const folder = join(bench.folder, 'etc/secretbridge');
  for (const [name, text] of Object.entries(main))
    await bench.write(
      `etc/secretbridge/${name}`,
      text.replaceAll('/etc/secretbridge-tenants', `${bench.folder}/tenants`),
    );
  for (const [name, text] of Object.entries(tenants)) await bench.write(`tenants/${name}`, text);
  return {
    ...bench,
    command: (...args: readonly string[]) => bench.run(...args, '--config', folder, '--output', 'json'),
  };
}

const text = (one: Rendered) => `${one.kind} ${one.metadata.namespace ?? ''} ${one.metadata.name}`;

/** What it grants, and to whom: without labels. */
function grantOf({ kind, metadata, rules, roleRef, subjects }: Rendered) {
  return { kind, name: metadata.name, namespace: metadata.namespace, rules, roleRef, subjects };
}

describe.skipIf(!helmRuns)('the chart', () => {
  beforeAll(async () => {
    const { request } = kubernetes();
    for (const name of ['chart-a', 'chart-b', 'chart-c'])
      await request('POST', '/api/v1/namespaces', { metadata: { name } });
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    assertStatus(
      await request('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE, labels } }),
      201,
      'namespace',
    );
  });

  it.each(CASES)('passes `helm lint` with %s', async (_, path) => {
    expect(await helm('lint', CHART, '--strict', '--values', path)).toContain('0 chart(s) failed');
  });

  it.each(CASES)('renders objects that the API server takes, with %s', async (_, path) => {
    const { request } = kubernetes();
    const objects = await render('--values', path);
    expect(objects.length).toBeGreaterThan(4);
    for (const object of objects.filter(({ kind }) => !FOREIGN_KINDS.has(kind))) {
      const answer = await request(
        'PATCH',
        `${urlOf(object)}?dryRun=All&fieldManager=helm&force=true&fieldValidation=Strict`,
        JSON.stringify(object),
        { 'content-type': 'application/apply-patch+yaml' },
      );
      expect([200, 201], `${text(object)}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
    }
  });

  it.each(CASES)('renders pods that Pod Security `restricted` admits, with %s', async (_, path) => {
    const { request } = kubernetes();
    const deployments = (await render('--values', path)).filter(({ kind }) => POD_KINDS.has(kind));
    for (const deployment of deployments) {
      const { metadata, spec } = templateOf(deployment);
      const pod = { metadata: { ...metadata, name: deployment.metadata.name }, spec };
      // A Deployment of pods that are not admitted is taken, with a warning.
      const answer = await request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, pod);
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    }
  });

  it('would be told of a pod that is not admitted', async () => {
    const pod = { metadata: { name: 'x' }, spec: { containers: [{ name: 'x', image: 'x' }] } };
    const answer = await kubernetes().request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, pod);
    expect(answer.status).toBe(403);
  });

  it.each(CASES)('renders a configuration that is valid, with %s', async (name, path) => {
    const objects = await render('--values', path);
    await using rendered = await openRendered(objects);
    const { json } = await rendered.command('validate');
    // A mapping that `access` refuses is reported there, and is no obstacle to the service.
    const problems = (json as { problems: { code: string }[] }).problems.filter(
      ({ code }) => code !== 'NOT_ALLOWED',
    );
    expect(problems, name).toEqual([]);
  });

  it.each(CASES)('grants what `secretbridge rbac` prints, with %s', async (name, path) => {
    const objects = await render('--values', path);
    await using rendered = await openRendered(objects);
    const account = one(objects, 'ServiceAccount').metadata.name;
    const { json } = await rendered.command('rbac', '--service-account', `${NAMESPACE}/${account}`);
    const narrow = (it: Rendered) => name === 'selector-narrow' && it.metadata.name.endsWith('-selected');
    const grants = (list: readonly Rendered[]) =>
      list
        .filter((it) => RBAC_KINDS.has(it.kind) && !(narrow(it) && it.kind.endsWith('Binding')))
        .toSorted((a, b) => (text(a) < text(b) ? -1 : 1))
        .map(grantOf);
    expect(grants(objects)).toEqual(grants((json as { items: readonly Rendered[] }).items));
  });

  it('binds the rights of a selector in the namespaces that the values name, and nowhere else', async () => {
    const objects = await render('--values', VALUE_SETS.get('selector-narrow') ?? '');
    const bindings = objects.filter(
      ({ kind, metadata }) => kind.endsWith('Binding') && metadata.name.endsWith('-selected'),
    );
    expect(bindings.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([
      ['RoleBinding', 'chart-b'],
      ['RoleBinding', 'chart-c'],
    ]);
  });

  it('has no object of the whole cluster unless a selector or `http.kubernetes` asks for it', async () => {
    for (const [name, path] of CASES) {
      const wide = (await render('--values', path)).filter(({ kind }) => CLUSTER_WIDE.has(kind));
      expect(wide.length > 0, name).toBe(name.startsWith('selector'));
    }
  });

  it('keeps a SQLite audit on a claim that outlives the release, with one pod at a time', async () => {
    const objects = await render();
    const deployment = one(objects, 'Deployment');
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(one(objects, 'PersistentVolumeClaim').metadata.annotations).toEqual({
      'helm.sh/resource-policy': 'keep',
    });
    const mounts = templateOf(deployment).spec.containers[0]?.volumeMounts;
    expect(mounts).toContainEqual({ name: 'state', mountPath: '/var/lib/secretbridge' });
  });

  it.each(CASES)('checks before all the configuration that the pods get, with %s', async (_, path) => {
    const objects = await render('--values', path);
    const contents = (list: readonly Rendered[]) => list.map(({ data }) => data);
    const maps = objects.filter(({ kind }) => kind === 'ConfigMap');
    const [hooks, own] = [
      maps.filter((it) => isHook(it.metadata)),
      maps.filter((it) => !isHook(it.metadata)),
    ];
    expect(contents(hooks)).toEqual(contents(own));
    const job = templateOf(one(objects, 'Job')).spec;
    const mapsOf = (volumes: Template['spec']['volumes']) =>
      volumes.flatMap(({ projected }) =>
        (projected?.sources ?? []).map((it) => (it as { configMap: { name: string } }).configMap.name),
      );
    expect(mapsOf(job.volumes)).toEqual(hooks.map(({ metadata }) => metadata.name));
    const bridge = objects.filter(
      ({ kind, metadata }) => kind === 'Deployment' && !/-redis$/.test(metadata.name),
    );
    expect(mapsOf(bridge.flatMap((it) => templateOf(it).spec.volumes))).toEqual(
      own.map(({ metadata }) => metadata.name),
    );
    expect(job.containers[0]?.args).toEqual(['validate', '--config', '/etc/secretbridge/']);
  });

  it('has a test that tells a service that is ready from one that is not', async () => {
    let status = 503;
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/readyz' ? status : 404;
      response.end('{}');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { containers } = one(await render(), 'Pod').spec as { containers: { args: string[] }[] };
    const [script = '', address] = containers[0]?.args ?? [];
    expect(address).toBe('http://b-secretbridge:8080/readyz');
    const ask = async () => {
      const child = spawn(process.execPath, ['-e', script, `http://127.0.0.1:${port}/readyz`], {
        stdio: 'ignore',
      });
      return ((await once(child, 'close')) as [number])[0];
    };
    try {
      expect(await ask()).toBe(1);
      status = 200;
      expect(await ask()).toBe(0);
    } finally {
      server.close();
    }
  });

  it('spreads several replicas, and keeps all but one', async () => {
    const objects = await render('--values', VALUE_SETS.get('replicas') ?? '');
    const deployment = one(objects, 'Deployment', 'b-secretbridge');
    expect(deployment.spec).toMatchObject({ replicas: 3, strategy: { type: 'RollingUpdate' } });
    expect(one(objects, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 });
    const { spec } = templateOf(deployment);
    expect(spec.topologySpreadConstraints).toHaveLength(2);
    expect(spec.containers[0]?.livenessProbe.httpGet.scheme).toBe('HTTPS');
    expect(objects.filter(({ kind }) => kind === 'PersistentVolumeClaim')).toEqual([]);
  });

  it('tells AWS and Azure who it is', async () => {
    const objects = await render('--values', VALUE_SETS.get('redis-of-yours') ?? '');
    expect(one(objects, 'ServiceAccount').metadata.annotations).toEqual({
      note: 'mine',
      'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/bridge',
      'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000000',
    });
    const { metadata } = templateOf(one(objects, 'Deployment'));
    expect(metadata).toMatchObject({ labels: { 'azure.workload.identity/use': 'true', team: 'platform' } });
  });
});

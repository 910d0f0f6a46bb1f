import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { CHART, helm, VALUE_SETS } from './chart.ts';
import { type JobResult, withJobController } from './job-controller.ts';

const STORE = {
  name: 'team',
  kind: 'vault',
  address: 'https://v',
  auth: { method: 'kubernetes', role: 'b' },
};
const mappingTo = (name: string, namespace: string) => ({
  name,
  target: { namespace },
  data: { KEY: { store: 'team', key: name } },
});

/** A release `r` in its own namespace with Pod Security level `restricted`, and Helm commands for it. */
async function openRelease(namespace: string) {
  const bench = await openBench();
  const api = kubernetes();
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  assertStatus(
    await api.request('POST', '/api/v1/namespaces', { metadata: { name: namespace, labels } }),
    201,
    'namespace',
  );
  const connectionArgs = ['--namespace', namespace, '--kubeconfig', api.kubeconfig];
  const values = join(bench.folder, 'values.yaml');
  return {
    ...bench,
    async get<Body = { items: { metadata: { name: string } }[] }>(path: string, group = '/api/v1') {
      return api.request<Body>('GET', `${group}/namespaces/${namespace}/${path}`);
    },
    /** Runs Helm. Does not wait for ready pods, because the test cluster runs no pods. */
    async helm(verb: 'install' | 'upgrade', settings: object, jobResult: JobResult): Promise<string> {
      await writeFile(values, stringify(settings));
      return withJobController(api, namespace, jobResult, () =>
        helm(verb, 'r', CHART, ...connectionArgs, '--values', values, '--timeout', '60s'),
      );
    },
    /** Installs the chart without hooks. Returns all output, including warnings of the API server. */
    async apply(path: string): Promise<string> {
      const args = ['install', 'r', CHART, ...connectionArgs, '--values', path, '--no-hooks'];
      const { stdout, stderr } = await promisify(execFile)(await installFromLayer('helm'), args);
      return stdout + stderr;
    },
    uninstall: () => helm('uninstall', 'r', ...connectionArgs),
  };
}

const PATHS = {
  roles: '/apis/rbac.authorization.k8s.io/v1',
  deployments: '/apis/apps/v1',
};

describe.skipIf(!isHelmAvailable)(`a release${HELM_NOTE}`, () => {
  it('runs the checks before an installation and before an upgrade, and grants the new rights before the checks of an upgrade', async () => {
    const namespace = 'release-a';
    const { request } = kubernetes();
    for (const name of ['release-a-one', 'release-a-two'])
      await request('POST', '/api/v1/namespaces', { metadata: { name } });
    await using release = await openRelease(namespace);
    const names = async (path: string, group?: string) =>
      (await release.get(path, group)).body.items.map(({ metadata }) => metadata.name).toSorted();
    const rolesIn = async (target: string) => {
      const answer = await request<{ items: { metadata: { name: string } }[] }>(
        'GET',
        `${PATHS.roles}/namespaces/${target}/roles`,
      );
      return answer.body.items.map(({ metadata }) => metadata.name);
    };
    const mayRead = async (target: string) => {
      const answer = await request<{ status: { allowed: boolean } }>(
        'POST',
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        {
          spec: {
            user: `system:serviceaccount:${namespace}:r-secretbridge`,
            resourceAttributes: { namespace: target, verb: 'get', resource: 'secrets', name: 'two' },
          },
        },
      );
      return answer.body.status.allowed;
    };
    const account = async () =>
      (await release.get<{ metadata: { uid: string } }>('serviceaccounts/r-secretbridge')).body.metadata.uid;

    const jobs: string[] = [];
    const one = { config: { stores: [STORE], mappings: [mappingTo('one', 'release-a-one')] } };
    await release.helm('install', one, async (job) => {
      jobs.push(job);
      expect(await names('deployments', PATHS.deployments)).toEqual([]);
      expect(await names('configmaps')).toContain('r-secretbridge-check-config');
      return 'succeeds';
    });
    expect(jobs).toEqual(['r-secretbridge-check']);
    expect(await names('deployments', PATHS.deployments)).toEqual(['r-secretbridge']);
    expect((await names('configmaps')).filter((name) => name.includes('-check-'))).toEqual([]);
    const before = await account();

    const two = {
      config: {
        stores: [STORE],
        mappings: [mappingTo('one', 'release-a-one'), mappingTo('two', 'release-a-two')],
      },
    };
    await release.helm('upgrade', two, async (job) => {
      jobs.push(job);
      expect(await rolesIn('release-a-two')).toEqual(['secretbridge-r-check']);
      expect(await mayRead('release-a-two')).toBe(true);
      return 'succeeds';
    });
    expect(jobs.slice(1)).toEqual(['r-secretbridge-check', 'r-secretbridge-doctor']);
    expect(await rolesIn('release-a-two')).toEqual(['secretbridge-r']);
    expect(await rolesIn('release-a-one')).toEqual(['secretbridge-r']);
    // A new ServiceAccount would invalidate the tokens of running pods.
    expect(await account()).toBe(before);

    await expect(release.helm('upgrade', one, async () => 'fails')).rejects.toThrow();
    expect(await rolesIn('release-a-two')).toEqual(['secretbridge-r']);
    await release.helm('upgrade', one, async () => 'succeeds');
    expect(await rolesIn('release-a-two')).toEqual([]);

    await release.uninstall();
    expect(await names('deployments', PATHS.deployments)).toEqual([]);
    expect(await names('persistentvolumeclaims')).toEqual(['r-secretbridge-state']);
  });

  it('fails the upgrade when `check.doctor: fail` finds a problem', { tags: ['long'] }, async () => {
    await using release = await openRelease('release-b');
    const deployment = async () =>
      (await release.get<{ spec: { replicas: number } }>('deployments/r-secretbridge', PATHS.deployments))
        .body.spec.replicas;
    await release.helm('install', {}, async () => 'succeeds');
    const jobResult: JobResult = async (job) => (job.endsWith('-doctor') ? 'fails' : 'succeeds');
    await expect(
      release.helm('upgrade', { replicas: 0, check: { doctor: 'fail' } }, jobResult),
    ).rejects.toThrow(/doctor/);
    expect(await deployment()).toBe(1);
    const jobs = await release.get('jobs', '/apis/batch/v1');
    // The failed Job stays, so its log remains readable.
    expect(jobs.body.items.map(({ metadata }) => metadata.name)).toContain('r-secretbridge-doctor');
  });

  const VALUES_TITLE = 'Helm applies a release completely and without a warning, with the values %s';
  async function expectApplied(name: string): Promise<void> {
    for (const namespace of ['chart-a', 'chart-b', 'chart-c'])
      await kubernetes().request('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await using release = await openRelease(`release-${name}`);
    const output = await release.apply(VALUE_SETS.get(name) ?? '');
    expect(output).toContain('STATUS: deployed');
    // Pod Security prints a warning for pods that it would not admit.
    expect(output).not.toMatch(/warning|would violate/i);
    await release.uninstall();
  }
  it.each(['replicas', 'placement'])(VALUES_TITLE, expectApplied);
  const VARIANTS = ['selector-narrow', 'vault-audience', 'network-literals', 'ingress'];
  it.each(VARIANTS)(VALUES_TITLE, { tags: ['long'] }, expectApplied);

  it('mounts a configuration of 3 MiB unchanged', { tags: ['long'] }, async () => {
    await using release = await openRelease('release-c');
    const mappings = Array.from({ length: 9000 }, (_, index) => ({
      name: `team-${index % 97}-service-${index}`,
      target: {
        namespace: `release-c-${index % 12}`,
        annotations: { note: `service ${index} ${'x'.repeat(180)}` },
      },
      data: {
        PASSWORD: { store: 'team', key: `services/${index}/db`, property: 'password' },
        USER: { store: 'team', key: `services/${index}/db`, property: 'user' },
      },
    }));
    expect(JSON.stringify(mappings).length).toBeGreaterThan(3 * 1024 * 1024);
    for (let index = 0; index < 12; index++)
      await kubernetes().request('POST', '/api/v1/namespaces', { metadata: { name: `release-c-${index}` } });
    const config = { cluster: { kind: 'kubernetes', scope: 'names' }, stores: [STORE], mappings };
    await release.helm('install', { check: { enabled: false }, config }, async () => 'succeeds');

    const { body } = await release.get<{
      spec: {
        template: { spec: { volumes: { projected?: { sources: { configMap: { name: string } }[] } }[] } };
      };
    }>('deployments/r-secretbridge', PATHS.deployments);
    const sources = body.spec.template.spec.volumes.flatMap(({ projected }) => projected?.sources ?? []);
    expect(sources.length).toBeGreaterThan(4);
    const mounted: object[] = [];
    for (const { configMap } of sources) {
      const { data } = (await release.get<{ data: Record<string, string> }>(`configmaps/${configMap.name}`))
        .body;
      for (const [file, text] of Object.entries(data)) {
        await release.write(`mounted/${file}`, text);
        mounted.push(...((JSON.parse(text) as { mappings?: object[] }).mappings ?? []));
      }
    }
    const byName = (list: readonly object[]) =>
      list.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    expect(mounted).toHaveLength(mappings.length);
    const sorted = (list: readonly object[]) => byName(JSON.parse(JSON.stringify(list, keysInOrder)));
    expect(sorted(mounted)).toEqual(sorted(mappings));
    const { json } = await release.run(
      'validate',
      '--config',
      join(release.folder, 'mounted'),
      '--output',
      'json',
    );
    expect(json).toEqual({ valid: true, problems: [] });
  });
});

function keysInOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

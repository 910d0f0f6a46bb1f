import { beforeAll, describe, expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import {
  bridgeOf,
  CHART,
  CLUSTER_WIDE,
  findOne,
  grantOf,
  helm,
  isHook,
  NAMESPACE,
  openRendered,
  podsOf,
  RBAC_KINDS,
  type Rendered,
  renderSet,
  type Template,
  templateOf,
  VALUE_SETS,
} from './chart.ts';

const CASES = [...VALUE_SETS.keys()];
const casesExcept = (...excluded: readonly string[]) => CASES.filter((name) => !excluded.includes(name));
/** The definitions of these resources are not part of Kubernetes. */
const FOREIGN_KINDS = new Set(['ServiceMonitor', 'PrometheusRule']);
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  Ingress: 'ingresses',
};

function urlOf({ apiVersion, kind, metadata }: Rendered): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const within = CLUSTER_WIDE.has(kind) ? '' : `/namespaces/${metadata.namespace ?? NAMESPACE}`;
  return `${root}${within}/${plural}/${metadata.name}`;
}

const nameOf = (object: Rendered) =>
  `${object.kind} ${object.metadata.namespace ?? ''} ${object.metadata.name}`;
const byName = (a: Rendered, b: Rendered) => (nameOf(a) < nameOf(b) ? -1 : 1);

describe.skipIf(!isHelmAvailable)(`the chart${HELM_NOTE}`, () => {
  beforeAll(async () => {
    const { request } = kubernetes();
    for (const name of ['chart-a', 'chart-b', 'chart-c', '2024', 'true'])
      await request('POST', '/api/v1/namespaces', { metadata: { name } });
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    assertStatus(
      await request('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE, labels } }),
      201,
      'namespace',
    );
  });

  it('the chart is tested with at least 20 sets of values', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(20);
  });

  it.each(CASES)('the chart passes `helm lint` with the values %s', async (name) => {
    expect(await helm('lint', CHART, '--strict', '--values', VALUE_SETS.get(name) ?? '')).toContain(
      '0 chart(s) failed',
    );
  });

  it.each(CASES)('renders objects that the API server accepts (values: %s)', async (name) => {
    const { request } = kubernetes();
    const objects = await renderSet(name);
    expect(objects.length).toBeGreaterThan(4);
    const builtIn = objects.filter(({ kind }) => !FOREIGN_KINDS.has(kind));
    await Promise.all(
      builtIn.map(async (object) => {
        const answer = await request(
          'PATCH',
          `${urlOf(object)}?dryRun=All&fieldManager=helm&force=true&fieldValidation=Strict`,
          JSON.stringify(object),
          { 'content-type': 'application/apply-patch+yaml' },
        );
        expect([200, 201], `${nameOf(object)}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
      }),
    );
  });

  it.each(CASES)('renders pods that Pod Security `restricted` admits (values: %s)', async (name) => {
    const { request } = kubernetes();
    const pods = podsOf(await renderSet(name));
    expect(pods.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Deployment', 'Pod']));
    for (const workload of pods) {
      const { metadata, spec } = templateOf(workload);
      const pod = { metadata: { ...metadata, name: workload.metadata.name }, spec };
      // The API server only warns about a Deployment whose pods Pod Security rejects, so the test creates each pod
      // directly.
      const answer = await request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, pod);
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    }
  });

  it('the test namespace rejects a pod without a security context', async () => {
    const pod = { metadata: { name: 'x' }, spec: { containers: [{ name: 'x', image: 'x' }] } };
    const answer = await kubernetes().request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, pod);
    expect(answer.status).toBe(403);
  });

  it.each(CASES)('renders a valid configuration with the values %s', async (name) => {
    await using rendered = await openRendered(await renderSet(name));
    const { json } = await rendered.command('validate');
    // `validate` also reports a mapping that `access` denies, but such a mapping does not stop the service.
    const problems = (json as { problems: { code: string }[] }).problems.filter(
      ({ code }) => code !== 'NOT_ALLOWED',
    );
    expect(problems, name).toEqual([]);
  });

  it.each(casesExcept('no-rbac'))(
    'grants exactly the rights that `secretbridge rbac` prints (values: %s)',
    async (name) => {
      const objects = await renderSet(name);
      await using rendered = await openRendered(objects);
      const account = templateOf(bridgeOf(objects)).spec.serviceAccountName ?? '';
      const { json } = await rendered.command('rbac', '--service-account', `${NAMESPACE}/${account}`);
      const narrow = (object: Rendered) =>
        name.endsWith('-narrow') && /-(?:selected|config-maps)$/.test(object.metadata.name);
      const grants = (list: readonly Rendered[]) =>
        list
          .filter((object) => RBAC_KINDS.has(object.kind) && !isHook(object.metadata))
          .filter((object) => !(narrow(object) && object.kind.endsWith('Binding')))
          .toSorted(byName)
          .map(grantOf);
      expect(grants(objects)).toEqual(grants((json as { items: readonly Rendered[] }).items));
    },
  );

  it.each(casesExcept('no-rbac', 'no-check', 'doctor-off'))(
    'an upgrade first grants `doctor` the rights of the service, in separate RBAC objects (values: %s)',
    async (name) => {
      const granting = (await renderSet(name)).filter(({ kind }) => RBAC_KINDS.has(kind));
      const grants = (hooks: boolean) =>
        granting
          .filter(({ metadata }) => isHook(metadata) === hooks)
          .toSorted(byName)
          .map((object) =>
            JSON.stringify(grantOf(object)).replaceAll(/("name":"secretbridge-[^"]*?)-check"/g, '$1"'),
          );
      expect(grants(true)).toEqual(grants(false));
      for (const { metadata } of granting) expect(metadata.name.endsWith('-check')).toBe(isHook(metadata));
    },
  );

  it('grants nothing with `rbac.create: false`', async () => {
    expect((await renderSet('no-rbac')).filter(({ kind }) => RBAC_KINDS.has(kind))).toEqual([]);
  });

  it('creates cluster-wide objects only with a selector, a pattern or `http.kubernetes`', async () => {
    for (const name of CASES) {
      const clusterWide = (await renderSet(name)).filter(({ kind }) => CLUSTER_WIDE.has(kind));
      expect(clusterWide.length > 0, name).toBe(/^(?:selector|teams)/.test(name));
    }
  });

  it.each(casesExcept('no-check'))(
    'an upgrade first validates the complete configuration of the pods (values: %s)',
    async (name) => {
      const objects = await renderSet(name);
      const maps = objects.filter(
        ({ kind, metadata }) => kind === 'ConfigMap' && !metadata.name.endsWith('-dashboard'),
      );
      const hooks = maps.filter((object) => isHook(object.metadata));
      const own = maps.filter((object) => !isHook(object.metadata));
      const contents = (list: readonly Rendered[]) => list.map(({ data }) => data);
      expect(contents(hooks)).toEqual(contents(own));
      const mapsOf = ({ spec }: Template) =>
        spec.volumes.flatMap(({ projected }) =>
          (projected?.sources ?? []).flatMap((source) =>
            'configMap' in source ? [(source.configMap as { name: string }).name] : [],
          ),
        );
      const namesOf = (list: readonly Rendered[]) => list.map(({ metadata }) => metadata.name);
      for (const job of objects.filter(({ kind }) => kind === 'Job'))
        expect(mapsOf(templateOf(job))).toEqual(namesOf(hooks));
      expect(mapsOf(templateOf(bridgeOf(objects)))).toEqual(namesOf(own));
      const check = objects.filter(
        ({ kind, metadata }) => kind === 'Job' && metadata.name.endsWith('-check'),
      );
      expect(check.map((object) => templateOf(object).spec.containers[0]?.args)).toEqual([
        ['validate', '--config', '/etc/secretbridge/'],
      ]);
      expect(findOne(check, 'Job').metadata.annotations).toMatchObject({
        'helm.sh/hook': 'pre-install,pre-upgrade',
      });
    },
  );
});

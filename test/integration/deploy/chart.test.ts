import { beforeAll, describe, expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { layerRuns } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import {
  bridgeOf,
  CHART,
  CLUSTER_WIDE,
  grantOf,
  helm,
  isHook,
  NAMESPACE,
  one,
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
const but = (...left: readonly string[]) => CASES.filter((name) => !left.includes(name));
/** Their definitions are no part of Kubernetes. */
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

const text = (one: Rendered) => `${one.kind} ${one.metadata.namespace ?? ''} ${one.metadata.name}`;
const byText = (a: Rendered, b: Rendered) => (text(a) < text(b) ? -1 : 1);

describe.skipIf(!layerRuns)('the chart', () => {
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

  it('is tried with many sets of values', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(20);
  });

  it.each(CASES)('passes `helm lint` with %s', async (name) => {
    expect(await helm('lint', CHART, '--strict', '--values', VALUE_SETS.get(name) ?? '')).toContain(
      '0 chart(s) failed',
    );
  });

  it.each(CASES)('renders objects that the API server takes, with %s', async (name) => {
    const { request } = kubernetes();
    const objects = await renderSet(name);
    expect(objects.length).toBeGreaterThan(4);
    const known = objects.filter(({ kind }) => !FOREIGN_KINDS.has(kind));
    await Promise.all(
      known.map(async (object) => {
        const answer = await request(
          'PATCH',
          `${urlOf(object)}?dryRun=All&fieldManager=helm&force=true&fieldValidation=Strict`,
          JSON.stringify(object),
          { 'content-type': 'application/apply-patch+yaml' },
        );
        expect([200, 201], `${text(object)}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
      }),
    );
  });

  it.each(CASES)('renders pods that Pod Security `restricted` admits, with %s', async (name) => {
    const { request } = kubernetes();
    const pods = podsOf(await renderSet(name));
    expect(pods.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Deployment', 'Pod']));
    for (const workload of pods) {
      const { metadata, spec } = templateOf(workload);
      const pod = { metadata: { ...metadata, name: workload.metadata.name }, spec };
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

  it.each(CASES)('renders a configuration that is valid, with %s', async (name) => {
    await using rendered = await openRendered(await renderSet(name));
    const { json } = await rendered.command('validate');
    // A mapping that `access` refuses is reported there, and is no obstacle to the service.
    const problems = (json as { problems: { code: string }[] }).problems.filter(
      ({ code }) => code !== 'NOT_ALLOWED',
    );
    expect(problems, name).toEqual([]);
  });

  it.each(but('no-rbac'))('grants what `secretbridge rbac` prints, with %s', async (name) => {
    const objects = await renderSet(name);
    await using rendered = await openRendered(objects);
    const account = templateOf(bridgeOf(objects)).spec.serviceAccountName ?? '';
    const { json } = await rendered.command('rbac', '--service-account', `${NAMESPACE}/${account}`);
    const narrow = (it: Rendered) => name === 'selector-narrow' && it.metadata.name.endsWith('-selected');
    const grants = (list: readonly Rendered[]) =>
      list
        .filter((it) => RBAC_KINDS.has(it.kind) && !isHook(it.metadata))
        .filter((it) => !(narrow(it) && it.kind.endsWith('Binding')))
        .toSorted(byText)
        .map(grantOf);
    expect(grants(objects)).toEqual(grants((json as { items: readonly Rendered[] }).items));
  });

  it.each(but('no-rbac', 'no-check', 'doctor-off'))(
    'gives `doctor` before an upgrade the same rights under other names, with %s',
    async (name) => {
      const granting = (await renderSet(name)).filter(({ kind }) => RBAC_KINDS.has(kind));
      const grants = (hooks: boolean) =>
        granting
          .filter(({ metadata }) => isHook(metadata) === hooks)
          .toSorted(byText)
          .map((it) =>
            JSON.stringify(grantOf(it)).replaceAll(/("name":"secretbridge-[^"]*?)-check"/g, '$1"'),
          );
      expect(grants(true)).toEqual(grants(false));
      for (const { metadata } of granting) expect(metadata.name.endsWith('-check')).toBe(isHook(metadata));
    },
  );

  it('grants nothing with `rbac.create: false`', async () => {
    expect((await renderSet('no-rbac')).filter(({ kind }) => RBAC_KINDS.has(kind))).toEqual([]);
  });

  it('has no object of the whole cluster unless a selector or `http.kubernetes` asks for it', async () => {
    for (const name of CASES) {
      const wide = (await renderSet(name)).filter(({ kind }) => CLUSTER_WIDE.has(kind));
      expect(wide.length > 0, name).toBe(name.startsWith('selector'));
    }
  });

  it.each(but('no-check'))('checks before all the configuration that the pods get, with %s', async (name) => {
    const objects = await renderSet(name);
    const maps = objects.filter(
      ({ kind, metadata }) => kind === 'ConfigMap' && !metadata.name.endsWith('-dashboard'),
    );
    const hooks = maps.filter((it) => isHook(it.metadata));
    const own = maps.filter((it) => !isHook(it.metadata));
    const contents = (list: readonly Rendered[]) => list.map(({ data }) => data);
    expect(contents(hooks)).toEqual(contents(own));
    const mapsOf = ({ spec }: Template) =>
      spec.volumes.flatMap(({ projected }) =>
        (projected?.sources ?? []).flatMap((it) =>
          'configMap' in it ? [(it.configMap as { name: string }).name] : [],
        ),
      );
    const namesOf = (list: readonly Rendered[]) => list.map(({ metadata }) => metadata.name);
    for (const job of objects.filter(({ kind }) => kind === 'Job'))
      expect(mapsOf(templateOf(job))).toEqual(namesOf(hooks));
    expect(mapsOf(templateOf(bridgeOf(objects)))).toEqual(namesOf(own));
    const check = objects.filter(({ kind, metadata }) => kind === 'Job' && metadata.name.endsWith('-check'));
    expect(check.map((it) => templateOf(it).spec.containers[0]?.args)).toEqual([
      ['validate', '--config', '/etc/secretbridge/'],
    ]);
    expect(one(check, 'Job').metadata.annotations).toMatchObject({
      'helm.sh/hook': 'pre-install,pre-upgrade',
    });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBench } from '../../cli/harness.ts';
import { ROOT } from '../../docs/markdown.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import {
  bridgeOf,
  CHART,
  findOne,
  helm,
  NAMESPACE,
  podsOf,
  type Rendered,
  render,
  renderSet,
  templateOf,
  VALUE_SETS,
} from './chart.ts';

const jobsOf = (objects: readonly Rendered[]) =>
  objects.filter(({ kind }) => kind === 'Job').map(({ metadata }) => metadata.name);

describe.skipIf(!isHelmAvailable)(`the chart${HELM_NOTE}`, () => {
  it('binds the rights for a namespace selector only in the namespaces that are listed in the values', async () => {
    const bindings = (await renderSet('selector-narrow')).filter(
      ({ kind, metadata }) => kind.endsWith('Binding') && metadata.name.endsWith('-selected'),
    );
    expect(bindings.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([
      ['RoleBinding', 'chart-b'],
      ['RoleBinding', 'chart-c'],
    ]);
  });

  it('stores the SQLite audit on a PersistentVolumeClaim that outlives the release, and runs one pod at a time', async () => {
    const objects = await render();
    const deployment = findOne(objects, 'Deployment');
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(findOne(objects, 'PersistentVolumeClaim').metadata.annotations).toEqual({
      'helm.sh/resource-policy': 'keep',
    });
    const mounts = templateOf(deployment).spec.containers[0]?.volumeMounts;
    expect(mounts).toContainEqual({ name: 'state', mountPath: '/var/lib/secretbridge' });
  });

  it('spreads replicas over nodes, and tolerates one unavailable replica', async () => {
    const objects = await renderSet('replicas');
    const deployment = bridgeOf(objects);
    expect(deployment.spec).toMatchObject({ replicas: 3, strategy: { type: 'RollingUpdate' } });
    expect(findOne(objects, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 });
    const { spec } = templateOf(deployment);
    expect(spec.topologySpreadConstraints).toHaveLength(2);
    expect(spec.containers[0]?.livenessProbe.httpGet.scheme).toBe('HTTPS');
    expect(objects.filter(({ kind }) => kind === 'PersistentVolumeClaim')).toEqual([]);
  });

  it('applies node selector, tolerations, affinity and priority to all of its pods', async () => {
    const objects = podsOf(await renderSet('placement'));
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      'Deployment b-secretbridge',
      'Deployment b-secretbridge-redis',
      'Job b-secretbridge-check',
      'Job b-secretbridge-doctor',
      'Pod b-secretbridge-test',
      'Pod b-secretbridge-test-doctor',
    ]);
    for (const object of objects)
      expect(templateOf(object).spec, object.metadata.name).toMatchObject({
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ key: 'infra' }],
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: expect.anything() } },
        priorityClassName: 'system-cluster-critical',
      });
  });

  it('applies pod affinity only to the pods of the bridge', async () => {
    const antiAffinity = '{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]}}';
    const objects = await render('--set-json', `affinity=${antiAffinity}`);
    expect(templateOf(findOne(objects, 'Deployment')).spec.affinity).toEqual(JSON.parse(antiAffinity));
    expect(templateOf(findOne(objects, 'Job')).spec.affinity).toBeUndefined();
    expect(templateOf(findOne(await render('--set', 'affinity=null'), 'Job')).spec.affinity).toBeUndefined();
  });

  it('sets the AWS and Azure identities on every pod that calls AWS or Azure', async () => {
    const objects = await renderSet('redis-of-yours');
    expect(findOne(objects, 'ServiceAccount').metadata.annotations).toEqual({
      note: 'mine',
      'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/bridge',
      'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000000',
    });
    const templates = [
      bridgeOf(objects),
      findOne(objects, 'Job', 'b-secretbridge-doctor'),
      findOne(objects, 'Pod', 'b-secretbridge-test-doctor'),
    ].map(templateOf);
    for (const { metadata, spec } of templates) {
      expect(metadata.labels).toMatchObject({ 'azure.workload.identity/use': 'true', team: 'platform' });
      expect(spec.serviceAccountName).toBe('b-secretbridge');
    }
    expect(templateOf(findOne(objects, 'Pod', 'b-secretbridge-test')).metadata.labels).not.toHaveProperty([
      'azure.workload.identity/use',
    ]);
    expect(findOne(await renderSet('azure-identity'), 'ServiceAccount').metadata.annotations).toEqual({
      'azure.workload.identity/client-id': '11111111-1111-1111-1111-111111111111',
      'azure.workload.identity/tenant-id': '22222222-2222-2222-2222-222222222222',
    });
  });

  it('mounts a Vault token with a separate audience for stores that configure no token file', async () => {
    const objects = await renderSet('vault-audience');
    const [config = ''] = Object.values(
      findOne(objects, 'ConfigMap', 'b-secretbridge-config').data as object,
    );
    const { stores } = JSON.parse(config) as { stores: { name: string; auth: { tokenFile?: string } }[] };
    const path = '/var/run/secrets/secretbridge-vault/token';
    expect(stores.map(({ name, auth }) => [name, auth.tokenFile])).toEqual([
      ['kube', path],
      ['mine', '/var/run/mine'],
      ['jwt', undefined],
    ]);
    for (const workload of [bridgeOf(objects), findOne(objects, 'Job', 'b-secretbridge-doctor')]) {
      const { containers, volumes } = templateOf(workload).spec;
      expect(volumes.find(({ name }) => name === 'vault-token')?.projected?.sources).toEqual([
        { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 3600 } },
      ]);
      const mount = containers[0]?.volumeMounts.find(({ name }) => name === 'vault-token');
      expect(`${mount?.mountPath}/token`).toBe(path);
    }
  });

  it('runs `doctor` only before an upgrade, and never when `check.doctor` is off', async () => {
    expect(jobsOf(await render())).toEqual(['b-secretbridge-check']);
    expect(jobsOf(await renderSet('default'))).toEqual(['b-secretbridge-check', 'b-secretbridge-doctor']);
    expect(jobsOf(await renderSet('doctor-off'))).toEqual(['b-secretbridge-check']);
    expect(jobsOf(await render('--is-upgrade', '--set-string', 'check.doctor=off'))).toHaveLength(1);
    expect(jobsOf(await renderSet('no-check'))).toEqual([]);
  });

  it('lets `doctor` fail the upgrade only if the value of `check.doctor` is `fail`', async () => {
    const strict = templateOf(findOne(await renderSet('doctor-fail'), 'Job', 'b-bridge-doctor')).spec;
    expect(strict.containers[0]).toMatchObject({ args: ['doctor', '--config', '/etc/secretbridge/'] });
    expect(strict.containers[0]).not.toHaveProperty('command');
    const lenient = templateOf(findOne(await renderSet('default'), 'Job', 'b-secretbridge-doctor')).spec;
    const [script = '', program, ...args] = lenient.containers[0]?.args ?? [];
    expect([program, ...args]).toEqual([
      '/app/bin/secretbridge.js',
      'doctor',
      '--config',
      '/etc/secretbridge/',
    ]);
    await using bench = await openBench();
    await bench.write('broken.yaml', 'apiVersion: secretbridge.dev/v1\ninstance: a\nstores: 1\n');
    const run = async (path: string) => {
      const command = [join(ROOT, 'src/main.ts'), 'doctor', '--config', join(bench.folder, path)];
      const child = spawn(process.execPath, ['-e', script, ...command], { cwd: bench.folder });
      const output: string[] = [];
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data) => output.push(String(data)));
      const [code] = (await once(child, 'close')) as [number];
      return { code, output: output.join('') };
    };
    const broken = await run('broken.yaml');
    expect(broken.code).toBe(0);
    expect(broken.output).toContain('stores');
    expect(broken.output).toContain('doctor ended with 3; check.doctor is warn, so this goes on');
    const valid = await run('secretbridge.yaml');
    expect(valid.output).toContain('ok');
    expect(valid.output).not.toContain('goes on');
  });

  it('mounts the audit volume only in the pod of the service', async () => {
    const objects = await renderSet('default');
    for (const [kind, name] of [
      ['Job', 'b-secretbridge-doctor'],
      ['Pod', 'b-secretbridge-test-doctor'],
    ] as const) {
      const { volumes } = templateOf(findOne(objects, kind, name)).spec;
      expect(JSON.stringify(volumes)).not.toContain('persistentVolumeClaim');
      expect(volumes).toContainEqual({ name: 'scratch', emptyDir: { sizeLimit: '64Mi' } });
    }
  });

  it('includes a Helm test that fails while the service is not ready', async () => {
    let status = 503;
    let requests = 0;
    const server = createServer((request, response) => {
      requests++;
      // The first connection hangs, as it may before the node knows a new Service.
      if (requests === 1) return;
      response.statusCode = request.url === '/readyz' ? status : 404;
      response.end('{}');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const pod = findOne(await render(), 'Pod', 'b-secretbridge-test');
    const { command = [], args = [] } = templateOf(pod).spec.containers[0] ?? {};
    const [script = '', address] = args;
    expect(address).toBe('http://b-secretbridge:8080/readyz');
    const runTest = async () => {
      const child = spawn(
        process.execPath,
        [...command.slice(1), script, `http://127.0.0.1:${port}/readyz`],
        { stdio: 'ignore' },
      );
      return ((await once(child, 'close')) as [number])[0];
    };
    try {
      expect([await runTest(), requests]).toEqual([1, 2]);
      status = 200;
      expect([await runTest(), requests]).toEqual([0, 3]);
    } finally {
      server.close();
    }
  });

  it('creates an Ingress with the certificate of its host', async () => {
    expect(findOne(await renderSet('ingress'), 'Ingress').spec).toEqual({
      ingressClassName: 'nginx',
      tls: [{ hosts: ['secretbridge.internal'], secretName: 'secretbridge-tls' }],
      rules: [
        {
          host: 'secretbridge.internal',
          http: {
            paths: [
              {
                path: '/',
                pathType: 'Prefix',
                backend: { service: { name: 'b-secretbridge', port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
    });
  });

  it('applies the alert settings, and limits the alerts to this installation', async () => {
    const { spec, metadata } = findOne(await renderSet('monitoring'), 'PrometheusRule');
    expect(metadata.labels).toMatchObject({ release: 'prometheus' });
    const { groups } = spec as {
      groups: { rules: { alert: string; expr: string; annotations: { runbook_url: string } }[] }[];
    };
    const rules = new Map(groups.flatMap(({ rules }) => rules).map((rule) => [rule.alert, rule]));
    expect(rules.get('SecretbridgeDown')?.expr).toBe(
      `absent(secretbridge_build_info{namespace="${NAMESPACE}", job="b-secretbridge"})`,
    );
    for (const alert of ['SecretbridgeTargetStale', 'SecretbridgeNoCycle'])
      expect(rules.get(alert)?.expr).toMatch(/ > 7200(?: unless |$)/);
    expect(rules.get('SecretbridgeHeld')?.annotations.runbook_url).toBe(
      'https://docs.internal/watch#secretbridgeheld',
    );
  });

  it('creates a ConfigMap with the dashboard that the Grafana sidecar finds', async () => {
    const map = findOne(await renderSet('monitoring'), 'ConfigMap', 'b-secretbridge-dashboard');
    expect(map.metadata).toMatchObject({
      labels: { grafana_dashboard: '1' },
      annotations: { grafana_folder: 'Secrets' },
    });
    const [text = ''] = Object.values(map.data as Record<string, string>);
    expect(JSON.parse(text)).toMatchObject({ title: 'secretbridge' });
    expect((await renderSet('default')).filter(({ metadata }) => /dashboard/.test(metadata.name))).toEqual(
      [],
    );
  });

  it.each([
    ['default', ['It has no mappings yet', 'No one has access yet', 'the claim b-secretbridge-state']],
    ['selector', ['WARNING: the mapping everywhere has a namespaceSelector', 'including kube-system']],
    ['selector-narrow', ['Its rights apply in: chart-b, chart-c.']],
    ['no-rbac', ['`secretbridge rbac` prints the rights that it needs']],
    ['network-literals', ['vault.example.com, port 8443 (store unknown)']],
    ['replicas', ['--server https://127.0.0.1:8080', 'networkPolicy.postgres.cidrs, port 5432']],
  ] as const)('prints the notes for the value set %s after the installation', async (name, sentences) => {
    const path = VALUE_SETS.get(name) ?? '';
    const output = await helm(
      ...['install', 'b', CHART, '--namespace', NAMESPACE, '--dry-run=client', '--values', path],
    );
    const notes = output.slice(output.indexOf('\nNOTES:'));
    expect(notes).toContain(`helm test b --namespace ${NAMESPACE}`);
    for (const sentence of sentences) expect(notes).toContain(sentence);
    if (name === 'network-literals') expect(notes).not.toContain('vault.internal');
  });
});

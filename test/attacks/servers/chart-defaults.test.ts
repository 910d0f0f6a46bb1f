import { describe, expect, it } from 'vitest';
import { bridgeOf, filesOf, findOne, render, renderError } from '../../integration/deploy/chart.ts';
import { HELM_NOTE, isHelmAvailable } from '../../integration/services/kubectl-layer.ts';

const TOKENS = 'config.http.tokens=[{"name":"ann","role":"operator","token":{"env":"ANN_TOKEN"}}]';

describe.skipIf(!isHelmAvailable)(`the chart without values${HELM_NOTE}`, () => {
  it('closes the pods to other namespaces by a NetworkPolicy', async () => {
    const { spec } = findOne(await render(), 'NetworkPolicy');
    const { ingress, policyTypes } = spec as { ingress: { from: object[] }[]; policyTypes: string[] };
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(ingress.flatMap(({ from }) => from.map((peer) => Object.keys(peer)))).toEqual([
      ['podSelector'],
      ['podSelector'],
      ['podSelector'],
    ]);
  });

  it.each([
    ['tokens', ['--set-json', TOKENS]],
    ['Kubernetes identities', ['--set', 'config.http.kubernetes=true']],
  ])('refuses %s that would be sent in clear text', async (_, args) => {
    expect(await renderError(...args)).toContain('config.http: tokens would be sent in clear text');
    const tls = 'config.http.tls={"certFile":"/tls/tls.crt","keyFile":"/tls/tls.key"}';
    for (const remedy of [
      ['--set-json', tls],
      ['--set', 'config.http.allowHttp=true'],
    ])
      expect(await renderError(...args, ...remedy)).toBe('');
  });

  it('serves the metrics on a port and a Service of their own', async () => {
    const objects = await render();
    const { main } = filesOf(objects);
    expect(JSON.parse(Object.values(main)[0] ?? '')).toMatchObject({
      http: { listen: '0.0.0.0:8080', metrics: { listen: '0.0.0.0:9090' } },
    });
    expect(JSON.stringify(bridgeOf(objects))).toContain('{"name":"metrics","containerPort":9090}');
    const portsOf = (name: string) =>
      (findOne(objects, 'Service', name).spec as { ports: { name: string }[] }).ports.map((one) => one.name);
    expect(portsOf('b-secretbridge')).toEqual(['http']);
    expect(portsOf('b-secretbridge-metrics')).toEqual(['metrics']);
  });

  it('scrapes the metrics under the name that the alerts expect', async () => {
    const objects = await render('--set', 'metrics.serviceMonitor.enabled=true');
    expect(findOne(objects, 'ServiceMonitor').spec).toMatchObject({
      selector: { matchLabels: { 'app.kubernetes.io/component': 'metrics' } },
      endpoints: [{ port: 'metrics', relabelings: [{ targetLabel: 'job', replacement: 'b-secretbridge' }] }],
    });
  });
});

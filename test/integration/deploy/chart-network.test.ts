import { describe, expect, it } from 'vitest';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { findOne, render, renderSet } from './chart.ts';

interface Peer {
  readonly ipBlock?: { readonly cidr: string };
  readonly namespaceSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly podSelector?: object;
}
interface Rule {
  readonly to?: readonly Peer[];
  readonly from?: readonly Peer[];
  readonly ports?: readonly { readonly port: number }[];
}

/**
 * Formats a rule as its peers and ports, for example `10.0.0.1/32 10.0.0.2/32 :443`. `*` means any peer or port,
 * `@name` means the namespace `name`, and the prefix `pods` means only the selected pods.
 */
function textOf({ to, ports }: Rule): string {
  const peers = (to ?? []).map(
    ({ ipBlock, namespaceSelector, podSelector }) =>
      ipBlock?.cidr ??
      `${podSelector ? 'pods' : ''}${namespaceSelector ? `@${namespaceSelector.matchLabels['kubernetes.io/metadata.name']}` : ''}`,
  );
  const allowed = ports === undefined ? '*' : [...new Set(ports.map(({ port }) => port))].join(',');
  return `${to === undefined ? '*' : peers.join(' ')} :${allowed}`;
}

async function policyOf(name: string, policy = 'b-secretbridge') {
  const { spec } = findOne(await renderSet(name), 'NetworkPolicy', policy);
  const { ingress, egress } = spec as { ingress: Rule[]; egress?: Rule[] };
  return { ingress, egress: (egress ?? []).map(textOf) };
}

const ALWAYS = ['pods@kube-system 169.254.20.10/32 :53', 'pods :8080'];

describe.skipIf(!isHelmAvailable)(`the network policy${HELM_NOTE}`, () => {
  it('allows egress to the addresses and ports of the configuration', async () => {
    const { egress } = await policyOf('network-literals');
    expect(egress).toEqual([
      ...ALWAYS,
      '192.0.2.10/32 :8200',
      '2001:db8::1/128 :8201',
      // The pods behind a Service may listen on a different port than the Service.
      '@vault :*',
      '@openbao :*',
      '10.1.0.0/24 :443',
      '* :8443',
      '10.3.0.1/32 :26380',
      '@redis :*',
      '10.3.0.0/24 :6380',
      '10.4.0.1/32 :5433',
      '10.0.0.1/32 :6443,443',
    ]);
  });

  it("allows ingress from the configured peers and from the chart's test pod", async () => {
    const { ingress } = await policyOf('network-literals');
    expect(ingress).toEqual([
      expect.objectContaining({
        from: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
          {
            podSelector: {
              matchLabels: {
                'app.kubernetes.io/name': 'secretbridge',
                'app.kubernetes.io/instance': 'b',
                'app.kubernetes.io/component': 'test',
              },
            },
          },
        ],
        ports: [{ port: 8080, protocol: 'TCP' }],
      }),
      expect.objectContaining({ ports: [{ port: 9090, protocol: 'TCP' }] }),
    ]);
  });

  const EVERY_POD = { namespaceSelector: {} };
  const OWN_PODS = { podSelector: {} };
  it.each([
    ['default', [OWN_PODS], [OWN_PODS]],
    ['ingress', [EVERY_POD], [OWN_PODS]],
    ['monitoring', [OWN_PODS], [EVERY_POD]],
  ])('is on by default, and allows only the peers that the values %s need', async (name, api, metrics) => {
    const { ingress } = await policyOf(name);
    const [callers, scrapers] = ingress.map(({ from = [] }) => from);
    expect(callers?.slice(0, -1)).toEqual(api);
    expect(scrapers).toEqual(metrics);
  });

  it('allows every caller of the API with a Service that has callers outside of the cluster', async () => {
    const objects = await render('--set', 'service.type=LoadBalancer');
    const { ingress } = findOne(objects, 'NetworkPolicy').spec as { ingress: Rule[] };
    expect(ingress.map(({ from }) => from)).toEqual([undefined, [OWN_PODS]]);
  });

  it('allows egress to the AWS login endpoints and to the node addresses that issue AWS credentials', async () => {
    const { egress } = await policyOf('aws-identity');
    expect(egress).toEqual([
      ...ALWAYS,
      // AWS services have host names and no fixed addresses.
      '* :443',
      '169.254.169.254/32 :80',
      '169.254.170.23/32 :80',
      '203.0.113.0/28 203.0.113.64/28 :443',
    ]);
  });

  it('allows egress to the login endpoint of Azure', async () => {
    const { egress } = await policyOf('azure-identity');
    expect(egress).toEqual([
      ...ALWAYS,
      '198.51.100.0/28 198.51.100.32/28 :443',
      '* :443',
      '169.254.169.254/32 :80',
      '* :6443,443',
    ]);
  });

  it('allows egress to event queues, the trace collector and the login endpoints of the Azure clouds', async () => {
    const { egress } = await policyOf('network-beside');
    expect(egress).toEqual([
      ...ALWAYS,
      ...[1, 7, 2, 3, 4].map((number) => `198.51.100.${number}/32 :443`),
      '169.254.169.254/32 :80',
      ...[5, 6].map((number) => `198.51.100.${number}/32 :443`),
      '@monitoring :*',
      '10.0.0.1/32 :6443,443',
    ]);
  });

  it('allows egress to the bundled Redis, which accepts connections only from the bridge', async () => {
    const { egress } = await policyOf('placement');
    expect(egress).toEqual([...ALWAYS, 'pods :6379', '* :6443,443']);
    const redis = await policyOf('placement', 'b-secretbridge-redis');
    expect(redis.egress).toEqual([]);
    expect(redis.ingress).toHaveLength(1);
    expect(redis.ingress[0]?.from).toEqual([
      { podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'bridge' }) } },
    ]);
  });

  it('adds the rules that the chart values contain', async () => {
    const { egress } = await policyOf('replicas');
    expect(egress).toContain('192.0.2.0/24 :5432');
  });
});

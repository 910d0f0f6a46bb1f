import { describe, expect, it } from 'vitest';
import { layerRuns } from '../services/kubectl-layer.ts';
import { one, renderSet } from './chart.ts';

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

/** `10.0.0.1/32 10.0.0.2/32 :443`; `*` is anywhere, `@name` a namespace, `pods` some in it. */
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
  const { spec } = one(await renderSet(name), 'NetworkPolicy', policy);
  const { ingress, egress } = spec as { ingress: Rule[]; egress?: Rule[] };
  return { ingress, egress: (egress ?? []).map(textOf) };
}

const ALWAYS = ['pods@kube-system :53', 'pods :8080'];

describe.skipIf(!layerRuns)('the network policy', () => {
  it('lets out to the addresses and ports of the configuration', async () => {
    const { egress } = await policyOf('network-literals');
    expect(egress).toEqual([
      ...ALWAYS,
      '192.0.2.10/32 :8200',
      '2001:db8::1/128 :8201',
      // The pods behind a Service may have another port.
      '@vault :*',
      '@openbao :*',
      '10.1.0.0/24 :443',
      '* :8443',
      '10.3.0.1/32 :26380',
      '@redis :*',
      '10.3.0.0/24 :6380',
      '10.4.0.1/32 :5433',
      '10.0.0.1/32 :6443',
    ]);
  });

  it('lets in whom the values name, and its own test', async () => {
    const { ingress } = await policyOf('network-literals');
    expect(ingress).toEqual([
      {
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
      },
    ]);
  });

  it('knows where AWS logs in, and where nodes give their identity', async () => {
    const { egress } = await policyOf('aws-identity');
    expect(egress).toEqual([
      ...ALWAYS,
      // The services of AWS have host names only.
      '* :443',
      '169.254.169.254/32 :80',
      '169.254.170.23/32 :80',
      '203.0.113.0/28 203.0.113.64/28 :443',
    ]);
  });

  it('knows where Azure logs in', async () => {
    const { egress } = await policyOf('azure-identity');
    expect(egress).toEqual([
      ...ALWAYS,
      '198.51.100.0/28 198.51.100.32/28 :443',
      '* :443',
      '169.254.169.254/32 :80',
      '* :6443',
    ]);
  });

  it('knows the queues of events, where traces go, and where the clouds of Azure log in', async () => {
    const { egress } = await policyOf('network-beside');
    expect(egress).toEqual([
      ...ALWAYS,
      ...[1, 2, 3, 4].map((number) => `198.51.100.${number}/32 :443`),
      '169.254.169.254/32 :80',
      ...[5, 6].map((number) => `198.51.100.${number}/32 :443`),
      '@monitoring :*',
      '10.0.0.1/32 :6443',
    ]);
  });

  it('lets out to the bundled Redis, which nobody but the bridge may ask', async () => {
    const { egress } = await policyOf('placement');
    expect(egress).toEqual([...ALWAYS, 'pods :6379', '* :6443']);
    const redis = await policyOf('placement', 'b-secretbridge-redis');
    expect(redis.egress).toEqual([]);
    expect(redis.ingress).toHaveLength(1);
    expect(redis.ingress[0]?.from).toEqual([
      { podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'bridge' }) } },
    ]);
  });

  it('adds rules of the values', async () => {
    const { egress } = await policyOf('replicas');
    expect(egress).toContain('192.0.2.0/24 :5432');
  });
});

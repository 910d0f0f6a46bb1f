import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { GuardedProcess } from '../guarded.ts';
import { createRequest } from '../http.ts';
import type { TestCluster } from '../inject.ts';
import { assertStatus } from '../kubernetes-api.ts';
import type { NodePrograms } from './node-install.ts';
import { CLUSTER_DNS } from './settings.ts';

export interface ClusterNetwork {
  readonly cluster: TestCluster;
  readonly programs: NodePrograms;
  readonly folder: string;
  readonly kubeconfig: string;
  /** The address of the API server for pods. */
  readonly apiServer: { readonly host: string; readonly port: number };
  readonly node: { readonly name: string; readonly address: string };
  readonly startInside: (name: string, command: string, args: readonly string[]) => GuardedProcess;
}

/** Starts kube-proxy and CoreDNS on the node, so that pods reach Services by address and by name. */
export async function connectToCluster(network: ClusterNetwork): Promise<readonly GuardedProcess[]> {
  const { cluster, programs, folder, kubeconfig, apiServer, node, startInside } = network;
  const ca = await readFile(cluster.caFile, 'utf8');
  const send = createRequest({
    address: cluster.address,
    ca,
    headers: { authorization: `Bearer ${cluster.token}` },
  });
  const create = async (path: string, body: object) => {
    const answer = await send('POST', path, body);
    if (answer.status !== 409) assertStatus(answer, 201, `POST ${path}`);
  };
  const createEndpoints = (namespace: string, service: string, address: string, ports: readonly object[]) =>
    create(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      metadata: { name: service, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports,
    });

  // The API server creates the Service `kubernetes`, but does not know its own address in this network.
  await createEndpoints('default', 'kubernetes', apiServer.host, [
    { name: 'https', port: apiServer.port, protocol: 'TCP' },
  ]);
  const dnsPorts = ['UDP', 'TCP'].map((protocol) => ({
    name: `dns-${protocol.toLowerCase()}`,
    port: 53,
    protocol,
  }));
  await create('/api/v1/namespaces/kube-system/services', {
    metadata: { name: 'kube-dns' },
    spec: { clusterIP: CLUSTER_DNS, ports: dnsPorts },
  });
  await createEndpoints('kube-system', 'kube-dns', node.address, dnsPorts);

  await writeFile(join(folder, 'kube-proxy.yaml'), kubeProxySettings(kubeconfig, node.name));
  const corefile = join(folder, 'Corefile');
  await writeFile(corefile, corefileFor(kubeconfig, node.address));
  return [
    startInside('kube-proxy', programs.kubeProxy, [`--config=${join(folder, 'kube-proxy.yaml')}`]),
    startInside('coredns', programs.coreDns, ['-conf', corefile]),
  ];
}

function kubeProxySettings(kubeconfig: string, node: string): string {
  return stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    // Pods share a bridge. Without this, the answer of a pod would not pass through the rules of the Service.
    iptables: { masqueradeAll: true },
    hostnameOverride: node,
    clientConnection: { kubeconfig },
    // These limits belong to the whole machine.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  });
}

function corefileFor(kubeconfig: string, address: string): string {
  return `.:53 {
  bind ${address}
  errors
  kubernetes cluster.local {
    kubeconfig ${kubeconfig} test
  }
}
`;
}

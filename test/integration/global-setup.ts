import type { TestProject } from 'vitest/node';
import { startServers } from './services/all.ts';
import type { Kubernetes } from './services/kubernetes.ts';
import type { ClusterAccess } from './services/kubernetes-api.ts';
import type { Product } from './services/vault-launch.ts';

// The servers start once for all integration tests. Tests run in other processes and receive the server addresses as
// data. `services/inject.ts` creates clients from this data.
declare module 'vitest' {
  interface ProvidedContext {
    kubernetes: ClusterAccess & { kubeconfig: string; auditLogPath?: string };
    openbao: { address: string; token: string };
    vaultServer: { product: Product; address: string; token: string };
    localstack: { address: string; isComplete: boolean };
    postgres: { url: string };
    redis: { url: string };
  }
}

export default async function setup(project: TestProject): Promise<() => PromiseLike<void>> {
  const servers = await startServers();
  const { kubernetes, openbao, localstack, postgres, redis } = servers;
  provideKubernetes(project, kubernetes);
  const { address: storeAddress, rootToken } = openbao;
  project.provide('openbao', { address: storeAddress, token: rootToken });
  project.provide('vaultServer', { product: 'OpenBao', address: storeAddress, token: rootToken });
  project.provide('localstack', { address: localstack.address, isComplete: localstack.isComplete });
  project.provide('postgres', { url: postgres.url });
  project.provide('redis', { url: redis.address });
  return () => servers[Symbol.asyncDispose]();
}

export function provideKubernetes(project: TestProject, cluster: Kubernetes): void {
  const { address, caFile, folder, kubeconfig, adminToken: token, auditLogPath } = cluster;
  project.provide('kubernetes', {
    ...{ address, caFile, folder, kubeconfig, token },
    ...(auditLogPath === undefined ? {} : { auditLogPath }),
  });
}

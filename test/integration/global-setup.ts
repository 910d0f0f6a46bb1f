import type { TestProject } from 'vitest/node';
import { startServers } from './services/all.ts';
import type { ClusterAccess } from './services/kubernetes-api.ts';

// Started once for all integration tests, which run in other processes: they are told only where the servers are, as
// plain data. `services/inject.ts` makes clients of it.
declare module 'vitest' {
  interface ProvidedContext {
    kubernetes: ClusterAccess & { kubeconfig: string; auditLogPath?: string };
    openbao: { address: string; token: string };
    localstack: { address: string; isWhole: boolean };
    postgres: { url: string };
    redis: { url: string };
  }
}

export default async function setup(project: TestProject): Promise<() => PromiseLike<void>> {
  const servers = await startServers();
  const { kubernetes, openbao, localstack, postgres, redis } = servers;
  const { address, caFile, folder, kubeconfig, adminToken: token, auditLogPath } = kubernetes;
  project.provide('kubernetes', {
    ...{ address, caFile, folder, kubeconfig, token },
    ...(auditLogPath === undefined ? {} : { auditLogPath }),
  });
  project.provide('openbao', { address: openbao.address, token: openbao.rootToken });
  project.provide('localstack', { address: localstack.address, isWhole: localstack.isWhole });
  project.provide('postgres', { url: postgres.url });
  project.provide('redis', { url: redis.address });
  return () => servers[Symbol.asyncDispose]();
}

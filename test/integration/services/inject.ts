import { inject } from 'vitest';
import type {} from '../global-setup.ts';
import { createRequest, type Request } from './http.ts';
import { createKubernetesApi, type KubernetesApi } from './kubernetes-api.ts';
import type { Product } from './vault-launch.ts';

/** The OpenBao of this run. `request` sends the root token. */
export function openbao(): { address: string; token: string; request: Request } {
  const { address, token } = inject('openbao');
  return { address, token, request: createRequest({ address, headers: { 'x-vault-token': token } }) };
}

/** The server for the tests of the Vault store: the OpenBao of this run, or Vault in the project `vault-long`. */
export function vaultServer(): { product: Product; address: string; token: string; request: Request } {
  const { product, address, token } = inject('vaultServer');
  const request = createRequest({ address, headers: { 'x-vault-token': token } });
  return { product, address, token, request };
}

/** The LocalStack of this run. Each 12-digit access key id is a separate, initially empty account. */
export function localstack(): { address: string; isComplete: boolean } {
  return inject('localstack');
}

/** The PostgreSQL of this run, as its superuser. */
export function postgres(): { url: string } {
  return inject('postgres');
}

/** The in-memory Redis of this run. Tests separate their data by prefix or instance. */
export function redis(): { url: string } {
  return inject('redis');
}

export interface TestCluster extends KubernetesApi {
  readonly address: string;
  readonly caFile: string;
  readonly token: string;
  readonly kubeconfig: string;
  /** Undefined for a borrowed cluster, because its audit log is not accessible. */
  readonly auditLogPath: string | undefined;
}

/** The cluster of this run. `request` sends the administrator's token. */
export function kubernetes(): TestCluster {
  const { auditLogPath, ...access } = inject('kubernetes');
  return { ...access, auditLogPath, ...createKubernetesApi(access) };
}

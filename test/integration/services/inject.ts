import { inject } from 'vitest';
import type {} from '../global-setup.ts';
import { createRequest, type Request } from './http.ts';
import { createKubernetesApi, type KubernetesApi } from './kubernetes-api.ts';

/** The OpenBao of this run; `request` carries the root token. */
export function openbao(): { address: string; token: string; request: Request } {
  const { address, token } = inject('openbao');
  return { address, token, request: createRequest({ address, headers: { 'x-vault-token': token } }) };
}

/** This run's LocalStack. A 12-digit access key id is an account of its own, empty at first. */
export function localstack(): { address: string; isWhole: boolean } {
  return inject('localstack');
}

/** The PostgreSQL of this run, as its superuser. */
export function postgres(): { url: string } {
  return inject('postgres');
}

/** The Redis of this run, in memory: an installation of its own is a prefix or an instance. */
export function redis(): { url: string } {
  return inject('redis');
}

/** The cluster of this run; `request` carries the administrator's token. */
export function kubernetes(): KubernetesApi & {
  address: string;
  caFile: string;
  token: string;
  kubeconfig: string;
  /** Undefined with a borrowed cluster, whose audit log is out of reach. */
  auditLogPath: string | undefined;
} {
  const { auditLogPath, ...access } = inject('kubernetes');
  return { ...access, auditLogPath, ...createKubernetesApi(access) };
}

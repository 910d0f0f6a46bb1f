import type { RequestOptions } from 'node:https';
import type * as k8s from '@kubernetes/client-node';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Connection } from './pool.ts';

/** Where an identity may have been renewed without our knowing, this is how long we go on with the old one. */
export const IDENTITY_MS = 10_000;

/** What a request carries to show who we are. */
export interface Identity {
  readonly headers: readonly (readonly [string, string])[];
  readonly connection: Connection;
}

/** Logs in as a kubeconfig says (tokens, certificates, plugins, OIDC), at most once in `IDENTITY_MS`. */
export function createIdentity(config: k8s.KubeConfig, clock: Clock): () => Promise<Identity> {
  let known: { readonly until: number; readonly value: Promise<Identity> } | undefined;
  return () => {
    if (known === undefined || known.until <= clock.now()) {
      known = { until: clock.now() + IDENTITY_MS, value: identityOf(config) };
    }
    return known.value;
  };
}

async function identityOf(config: k8s.KubeConfig): Promise<Identity> {
  const options: RequestOptions = {};
  const { proxyUrl } = clusterOf(config);
  try {
    await config.applyToHTTPSOptions(options);
  } catch (cause) {
    throw errorOfLogin(config, cause);
  }
  const headers = Object.entries(options.headers ?? {}).map(
    ([name, value]) => [name, String(value).trim()] as const,
  );
  const basic = options.auth
    ? [['Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`] as const]
    : [];
  const { ca, cert, key, servername, rejectUnauthorized } = options as Connection;
  return {
    headers: [...headers, ...basic],
    connection: { ca, cert, key, servername, rejectUnauthorized, proxy: proxyUrl },
  };
}

function errorOfLogin(config: k8s.KubeConfig, cause: unknown): AppError {
  const path =
    cause instanceof Error && 'path' in cause && 'code' in cause
      ? `${String(cause.path)}: ${String(cause.code)}`
      : undefined;
  const about = `kubeconfig user ${config.getCurrentUser()?.name}`;
  return path === undefined
    ? new AppError('CLUSTER_FORBIDDEN', { about, detail: 'its credential plugin or login failed', cause })
    : new AppError('CREDENTIAL_MISSING', { about, detail: path, cause });
}

export function clusterOf(config: k8s.KubeConfig): k8s.Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new AppError('INTERNAL', { detail: 'the kubeconfig has no current cluster' });
  return cluster;
}

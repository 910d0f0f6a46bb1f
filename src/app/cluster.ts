import type { Cluster, OnWrite } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { type CredentialSources, type ReadCredential, resolveCredential } from '../providers/credentials.ts';
import type { AppDeps, AppOptions } from './deps.ts';

export interface ClusterDeps extends Pick<AppDeps, 'env' | 'clock'>, Pick<AppOptions, 'stop'> {
  readonly onWrite?: OnWrite | undefined;
}

export async function openCluster(
  config: Config['cluster'],
  { env, clock, onWrite, stop }: ClusterDeps,
): Promise<Cluster> {
  if (config.kind === 'directory') {
    const { createDirectoryCluster } = await import('../cluster/directory/directory.ts');
    return createDirectoryCluster({ path: config.path, clock, onWrite });
  }
  const { createKubernetesCluster } = await import('../cluster/kubernetes.ts');
  const { kubeconfig, context, requestsPerSecond } = config;
  return createKubernetesCluster({ kubeconfig, context, requestsPerSecond, env, clock, onWrite, stop });
}

/**
 * Returns a function that resolves a reference to a credential.
 * @param secret Reads a key of a Secret in secretbridge's own namespace.
 */
export function credentialsOf(
  { env, onCredential }: Pick<AppDeps, 'env' | 'onCredential'>,
  secret: NonNullable<CredentialSources['secret']>,
): ReadCredential {
  return async (reference) => {
    const value = await resolveCredential(reference, { env, secret });
    onCredential(value);
    return value;
  };
}

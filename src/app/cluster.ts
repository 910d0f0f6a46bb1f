import type { Cluster, OnWrite } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';

export async function openCluster(
  config: Config['cluster'],
  {
    env,
    clock,
    onWrite,
    stop,
  }: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly clock: Clock;
    readonly onWrite?: OnWrite | undefined;
    readonly stop?: AbortSignal | undefined;
  },
): Promise<Cluster> {
  if (config.kind === 'directory') {
    const { createDirectoryCluster } = await import('../cluster/directory/directory.ts');
    return createDirectoryCluster({ path: config.path, clock, onWrite });
  }
  const { createKubernetesCluster } = await import('../cluster/kubernetes.ts');
  const { kubeconfig, context, requestsPerSecond } = config;
  return createKubernetesCluster({ kubeconfig, context, requestsPerSecond, env, clock, onWrite, stop });
}

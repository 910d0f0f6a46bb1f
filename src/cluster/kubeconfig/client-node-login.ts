import type { RequestOptions } from 'node:https';
import type { User } from './entries.ts';
import type { Kubeconfig } from './kubeconfig.ts';
import { requireCredentials } from './plugin.ts';

/**
 * Logs in with the complete client-node library. It is used only for authentication providers older than plugins,
 * because its API models take 54 MiB of memory.
 */
export async function createClientNodeLogin(
  config: Kubeconfig,
): Promise<(user: User, into: RequestOptions) => Promise<void>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  // The library rejects plain http unless verification is off. `loadKubeconfig` has already checked that http is
  // allowed here.
  const clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  kubeConfig.loadFromOptions({ ...config, clusters });
  return async (_, into) => {
    const applied: RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(applied);
    Object.assign(into, applied);
    requireCredentials(into);
  };
}

import type { RequestOptions } from 'node:https';
import type { User } from './entries.ts';
import type { Kubeconfig } from './kubeconfig.ts';
import { requireLogin } from './plugin.ts';

/**
 * The library as a whole takes 54 MiB for its models of the API, so that only those get it who log in as it alone
 * knows how: what was before plugins.
 */
export async function createWholeLibrary(
  config: Kubeconfig,
): Promise<(user: User, into: RequestOptions) => Promise<void>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const whole = new KubeConfig();
  // It takes no plain http unless verification is off; whether we do, `loadKubeconfig` has decided.
  const clusters = config.clusters.map((it) =>
    it.server.startsWith('http:') ? { ...it, skipTLSVerify: true } : it,
  );
  whole.loadFromOptions({ ...config, clusters });
  return async (_, into) => {
    const applied: RequestOptions = {};
    await whole.applyToHTTPSOptions(applied);
    Object.assign(into, applied);
    requireLogin(into);
  };
}

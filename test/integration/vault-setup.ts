import type { TestProject } from 'vitest/node';
import type {} from './global-setup.ts';
import { startKubernetes } from './services/kubernetes.ts';
import { startVault } from './services/vault.ts';

/** Starts HashiCorp Vault and an API server for the tests of the Vault store. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using started = new AsyncDisposableStack();
  // Vault comes first, because building it may take minutes.
  const vault = started.use(await startVault());
  const kubernetes = started.use(await startKubernetes());
  const { address, caFile, folder, kubeconfig, adminToken: token } = kubernetes;
  project.provide('kubernetes', { address, caFile, folder, kubeconfig, token });
  project.provide('vaultServer', { product: 'Vault', address: vault.address, token: vault.rootToken });
  const servers = started.move();
  return () => servers.disposeAsync();
}

import type { TestProject } from 'vitest/node';
import { provideKubernetes } from './global-setup.ts';
import { startKubernetes } from './services/kubernetes.ts';
import { startVault } from './services/vault.ts';

/** Starts HashiCorp Vault and an API server for the tests of the Vault store. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using started = new AsyncDisposableStack();
  // Vault comes first, because building it may take minutes.
  const { address, rootToken: token } = started.use(await startVault());
  provideKubernetes(project, started.use(await startKubernetes()));
  project.provide('vaultServer', { product: 'Vault', address, token });
  const servers = started.move();
  return () => servers.disposeAsync();
}

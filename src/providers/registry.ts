import { AppError } from '../core/errors.ts';
import { awsSecretsManager } from './aws-secrets-manager/index.ts';
import { azureKeyVault } from './azure-key-vault/index.ts';
import { files } from './files/index.ts';
import type { ProviderDefinition, ProviderDeps, SecretProvider } from './provider.ts';
import { vault } from './vault/index.ts';

/** Every provider, by its kind. Importing this loads no vendor's package: `create` does. */
export const PROVIDERS: Readonly<Record<string, ProviderDefinition>> = {
  [awsSecretsManager.kind]: awsSecretsManager,
  [azureKeyVault.kind]: azureKeyVault,
  [files.kind]: files,
  [vault.kind]: vault,
};

/** A store's configuration, checked by the schema of its kind. */
export interface AnyConfig {
  readonly kind: string;
}

/** @throws AppError CONFIG_INVALID for a kind or a login that is not in this version. */
export async function createProvider(config: AnyConfig, deps: ProviderDeps): Promise<SecretProvider> {
  return definitionOf(config).create(config, deps);
}

/** What says which store it is: another identity is another store, even under the same name. */
export function identityOf(config: AnyConfig): Readonly<Record<string, unknown>> {
  return definitionOf(config).identity(config);
}

/** So many versions one page of its list tells; undefined: none. */
export function versionsPerPageOf(config: AnyConfig): number | undefined {
  return definitionOf(config).versionsPerPage?.(config);
}

export function definitionOf({ kind }: AnyConfig): ProviderDefinition {
  const definition = Object.hasOwn(PROVIDERS, kind) ? PROVIDERS[kind] : undefined;
  if (definition === undefined) {
    throw new AppError('CONFIG_INVALID', { detail: `stores of kind ${kind} are not in this version` });
  }
  return definition;
}

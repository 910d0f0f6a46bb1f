import { AppError } from '../core/errors.ts';
import { awsParameterStore } from './aws-parameter-store/index.ts';
import { awsSecretsManager } from './aws-secrets-manager/index.ts';
import { azureKeyVault } from './azure-key-vault/index.ts';
import { files } from './files/index.ts';
import type { NameRules, StoreFields } from './name-rules.ts';
import type { ProviderDefinition, ProviderDeps, SecretProvider, StoreWarning } from './provider.ts';
import { vault } from './vault/index.ts';

/** All providers by kind. Importing this file loads no SDK, because only `create` loads one. */
export const PROVIDERS: Readonly<Record<string, ProviderDefinition>> = {
  [awsParameterStore.kind]: awsParameterStore,
  [awsSecretsManager.kind]: awsSecretsManager,
  [azureKeyVault.kind]: azureKeyVault,
  [files.kind]: files,
  [vault.kind]: vault,
};

/** The configuration of a store, validated by the schema of its kind. */
export interface AnyConfig {
  readonly kind: string;
}

/** @throws AppError CONFIG_INVALID for a kind or a login method that this release does not support. */
export async function createProvider(config: AnyConfig, deps: ProviderDeps): Promise<SecretProvider> {
  return definitionOf(config).create(config, deps);
}

/** Returns the fields that identify a store. A store with other fields is another store, even with the same name. */
export function identityOf(config: AnyConfig): Readonly<Record<string, unknown>> {
  return definitionOf(config).identity(config);
}

/** Returns a warning about a valid configuration that is probably a mistake. */
export function warningOf(config: AnyConfig): StoreWarning | undefined {
  return definitionOf(config).warning?.(config);
}

/** Returns how many versions one page of a list contains. Returns undefined if lists contain no versions. */
export function versionsPerPageOf(config: AnyConfig): number | undefined {
  return definitionOf(config).versionsPerPage?.(config);
}

/**
 * Returns the rules for keys, versions and searches of a store. Returns undefined for an unknown kind, because the
 * schema reports an unknown kind.
 */
export function nameRulesOf(kind: string, store: StoreFields = {}): NameRules | undefined {
  // Without `hasOwn`, inherited names such as `toString` would count as a kind.
  return Object.hasOwn(PROVIDERS, kind) ? PROVIDERS[kind]?.names(store) : undefined;
}

export function definitionOf({ kind }: AnyConfig): ProviderDefinition {
  const definition = Object.hasOwn(PROVIDERS, kind) ? PROVIDERS[kind] : undefined;
  if (definition === undefined) {
    throw new AppError('CONFIG_INVALID', { detail: `this version does not support stores of kind ${kind}` });
  }
  return definition;
}

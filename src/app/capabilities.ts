import type { Config } from '../config/config.ts';
import type { ProviderDefinition } from '../providers/provider.ts';
import { PROVIDERS } from '../providers/registry.ts';

/**
 * Returns the capabilities of a configured store, which depend on its kind. Undefined if the store is not configured.
 */
export function capabilitiesOf(
  { stores }: Pick<Config, 'stores'>,
  store: string,
): ProviderDefinition['can'] | undefined {
  const kind = stores.find(({ name }) => name === store)?.kind;
  return kind === undefined ? undefined : PROVIDERS[kind]?.can;
}

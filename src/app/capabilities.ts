import type { Config } from '../config/config.ts';
import type { ProviderDefinition } from '../providers/provider.ts';
import { PROVIDERS } from '../providers/registry.ts';

/** What a store can do, as its kind declares it; undefined for a store that is not configured. */
export function capabilitiesOf(
  { stores }: Pick<Config, 'stores'>,
  store: string,
): ProviderDefinition['can'] | undefined {
  const kind = stores.find(({ name }) => name === store)?.kind;
  return kind === undefined ? undefined : PROVIDERS[kind]?.can;
}

import type { Config } from '../config/config.ts';
import type { ProviderDefinition } from '../providers/provider.ts';
import { PROVIDERS } from '../providers/registry.ts';

/** The capabilities that the kind of a store declares. Undefined for a store that is not configured. */
export function capabilitiesOf(
  { stores }: Pick<Config, 'stores'>,
  store: string,
): ProviderDefinition['can'] | undefined {
  const kind = stores.find(({ name }) => name === store)?.kind;
  return kind === undefined ? undefined : PROVIDERS[kind]?.can;
}

const cache = new WeakMap<object, readonly string[]>();

/**
 * Returns the names of the Secrets in secretbridge's own namespace that the configuration reads credentials from,
 * sorted.
 */
export function secretRefsOf(config: object): readonly string[] {
  // Cached by the configuration, which is immutable. Each check of a source needs these names.
  const names = cache.get(config) ?? collectNames(config);
  cache.set(config, names);
  return names;
}

function collectNames(config: object): readonly string[] {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('secretRef' in value && isSecretRef(value.secretRef)) names.add(value.secretRef.name);
    for (const part of Object.values(value)) visit(part);
  };
  visit(config);
  return [...names].sort();
}

function isSecretRef(value: unknown): value is { name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

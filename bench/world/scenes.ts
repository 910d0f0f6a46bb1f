import type { MappingOf } from './lab.ts';

/** Mappings of five keys each, every key used once. */
export function distinctKeys(mappings: number, namespaces: readonly string[], nameOf = keyName): Scene {
  const all = Array.from({ length: mappings }, (_, n) => ({
    name: `app-${n}`,
    namespaces,
    data: Object.fromEntries(FIELDS.map((field) => [field, nameOf(n, field)])),
  }));
  return { mappings: all, values: valuesOf(all.flatMap(({ data }) => Object.values(data))) };
}

export interface Scene {
  readonly mappings: readonly MappingOf[];
  /** Store key to value. */
  readonly values: Readonly<Record<string, string>>;
}

export const FIELDS = ['HOST', 'USER', 'PASSWORD', 'TOKEN', 'CERTIFICATE'] as const;

export function keyName(mapping: number, field: string): string {
  return `apps/app-${mapping}/${field.toLowerCase()}`;
}

/** A name as Key Vault allows it. */
export function flatName(mapping: number, field: string): string {
  return `app-${mapping}-${field.toLowerCase()}`;
}

export function valuesOf(keys: readonly string[], round = 0): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key) => [key, `${key}#${round} `.padEnd(64, 'x')]));
}

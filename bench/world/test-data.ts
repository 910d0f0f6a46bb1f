import type { BenchMapping } from './lab.ts';

/** Returns mappings of five keys each. No two mappings read the same key of the store. */
export function distinctKeys(mappings: number, namespaces: readonly string[], nameOf = keyName): TestData {
  const all = Array.from({ length: mappings }, (_, n) => ({
    name: `app-${n}`,
    namespaces,
    data: Object.fromEntries(FIELDS.map((field) => [field, nameOf(n, field)])),
  }));
  return { mappings: all, values: valuesOf(all.flatMap(({ data }) => Object.values(data))) };
}

export interface TestData {
  readonly mappings: readonly BenchMapping[];
  /** Maps each key of the store to its value. */
  readonly values: Readonly<Record<string, string>>;
}

export const FIELDS = ['HOST', 'USER', 'PASSWORD', 'TOKEN', 'CERTIFICATE'] as const;

export function keyName(mapping: number, field: string): string {
  return `apps/app-${mapping}/${field.toLowerCase()}`;
}

/** Returns a key name with only the characters that Key Vault allows. */
export function flatName(mapping: number, field: string): string {
  return `app-${mapping}-${field.toLowerCase()}`;
}

export function valuesOf(keys: readonly string[], round = 0): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key) => [key, `${key}#${round} `.padEnd(64, 'x')]));
}

import type { z } from 'zod';
import { check } from './messages.ts';
import { didYouMean } from './nearest.ts';
import { type Finding, type Path, quoted } from './problem.ts';
import type { ParsedFile } from './resolve.ts';
import { ConfigFile, StoreConfig } from './schema.ts';
import { MappingConfig } from './shape/mapping.ts';
import { AccessRule } from './shape/service.ts';

/**
 * What of a configuration fits the schema. Sections and the entries of lists are taken one by one, so that a
 * mistake in one does not hide what the later checks find in the others.
 */
export interface Parsed {
  readonly sections: Partial<Omit<ParsedFile, 'stores' | 'mappings' | 'access'>>;
  /** By their index in the file's list. */
  readonly stores: ReadonlyMap<number, ParsedFile['stores'][number]>;
  readonly mappings: ReadonlyMap<number, ParsedFile['mappings'][number]>;
  readonly access: ReadonlyMap<number, NonNullable<ParsedFile['access']>[number]>;
  /** There when everything fits. */
  readonly whole: ParsedFile | undefined;
  readonly findings: readonly Finding[];
}

export function parseSections(root: Readonly<Record<string, unknown>>): Parsed {
  const findings: Finding[] = [];
  const known = Object.keys(ConfigFile.shape);
  for (const key of Object.keys(root)) {
    if (known.includes(key)) continue;
    const message = `unknown key ${quoted(key)}`;
    findings.push({ path: [key], at: 'key', code: 'CONFIG_INVALID', message, ...didYouMean(key, known) });
  }

  const stores = entries(StoreConfig, 'stores');
  const mappings = entries(MappingConfig, 'mappings');
  const access = entries(AccessRule, 'access');
  const sections: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(ConfigFile.shape)) {
    if (LISTS.has(key) && Array.isArray(root[key])) continue;
    const value = take(schema, root[key], [key]);
    if (value !== undefined) sections[key] = value;
  }

  const lists = {
    stores: [...stores.values()],
    mappings: [...mappings.values()],
    ...('access' in root ? { access: [...access.values()] } : {}),
  };
  const parsed = { stores, mappings, access, findings };
  const whole = findings.length === 0 ? ({ ...sections, ...lists } as ParsedFile) : undefined;
  return { ...parsed, sections: sections as Parsed['sections'], whole };

  function take<T extends z.ZodType>(schema: T, value: unknown, path: Path): z.output<T> | undefined {
    const result = check(schema, value, path);
    if (result.kind === 'valid') return result.output;
    findings.push(...result.findings);
    return undefined;
  }

  function entries<T extends z.ZodType>(schema: T, section: string): ReadonlyMap<number, z.output<T>> {
    const found = new Map<number, z.output<T>>();
    const list = root[section];
    for (const [index, entry] of (Array.isArray(list) ? list : []).entries()) {
      const value = take(schema, entry, [section, index]);
      if (value !== undefined) found.set(index, value);
    }
    return found;
  }
}

const LISTS: ReadonlySet<string> = new Set(['stores', 'mappings', 'access']);

import type { z } from 'zod';
import { append } from '../core/lists.ts';
import { mappingsIn } from './files/raw.ts';
import type { Located } from './files/yaml.ts';
import { check } from './messages.ts';
import { type Finding, type Path, unknownKey } from './problem.ts';
import type { Sections } from './resolve.ts';
import { ConfigFile, StoreConfig } from './schema.ts';
import { MappingConfig } from './shape/mapping.ts';
import { AccessRule } from './shape/service.ts';

/**
 * The parts of a configuration that match the schema, besides the mappings. Sections and list entries are parsed
 * separately, so that a mistake in one part does not hide findings in the others.
 */
export interface Parsed {
  readonly sections: Partial<Omit<Sections, 'stores' | 'access'>>;
  /** Entries by their index in the list. */
  readonly stores: ReadonlyMap<number, Sections['stores'][number]>;
  readonly access: ReadonlyMap<number, NonNullable<Sections['access']>[number]>;
  /** All sections, if every one is valid. */
  readonly whole: Sections | undefined;
  readonly findings: readonly Finding[];
}

export interface ParsedMappings {
  /** The valid mappings by their index in the list. */
  readonly mappings: ReadonlyMap<number, MappingConfig>;
  readonly findings: readonly Finding[];
}

/** @param pause Lets the event loop run. Parsing ten thousand mappings takes a quarter of a second. */
export async function parseMappings(root: Located, pause: () => Promise<void>): Promise<ParsedMappings> {
  const mappings = new Map<number, MappingConfig>();
  const findings: Finding[] = [];
  for (const [index, value] of mappingsIn(root)) {
    const result = check(MappingConfig, value, ['mappings', index]);
    if (result.kind === 'valid') mappings.set(index, result.output);
    else append(findings, result.findings);
    await pause();
  }
  return { mappings, findings };
}

/** Parses all sections except the entries of `mappings`. */
export async function parseSections(
  root: Readonly<Record<string, unknown>>,
  pause: () => Promise<void>,
): Promise<Parsed> {
  const findings: Finding[] = [];
  const knownSections = Object.keys(ConfigFile.shape);
  for (const key of Object.keys(root)) {
    if (!knownSections.includes(key)) findings.push(unknownKey([], key, knownSections));
  }

  const stores = await entries(StoreConfig, 'stores');
  const access = await entries(AccessRule, 'access');
  const sections: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(ConfigFile.shape)) {
    if (LISTS.has(key) && Array.isArray(root[key])) continue;
    const value = take(schema, root[key], [key]);
    if (value !== undefined) sections[key] = value;
  }

  const lists = {
    stores: [...stores.values()],
    ...('access' in root ? { access: [...access.values()] } : {}),
  };
  const parsed = { stores, access, findings };
  const whole = findings.length === 0 ? ({ ...sections, ...lists } as Sections) : undefined;
  return { ...parsed, sections: sections as Parsed['sections'], whole };

  function take<T extends z.ZodType>(schema: T, value: unknown, path: Path): z.output<T> | undefined {
    const result = check(schema, value, path);
    if (result.kind === 'valid') return result.output;
    append(findings, result.findings);
    return undefined;
  }

  async function entries<T extends z.ZodType>(
    schema: T,
    section: string,
  ): Promise<ReadonlyMap<number, z.output<T>>> {
    const valid = new Map<number, z.output<T>>();
    const list = root[section];
    for (const [index, entry] of (Array.isArray(list) ? list : []).entries()) {
      const value = take(schema, entry, [section, index]);
      if (value !== undefined) valid.set(index, value);
      await pause();
    }
    return valid;
  }
}

const LISTS: ReadonlySet<string> = new Set(['stores', 'mappings', 'access']);

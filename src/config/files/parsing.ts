import { createHash } from 'node:crypto';
import { append } from '../../core/lists.ts';
import { ClaimIndex } from './claim-index.ts';
import { assemble } from './divided.ts';
import { type Division, divide, type Entry, type EntryFacts, type Packed } from './entries.ts';
import type { ReadFile, SourceFile } from './files.ts';
import { unpackNodes } from './packed.ts';
import {
  createParser,
  isEntry,
  isUnpacked,
  type ParseFresh,
  type ParserOptions,
  type Parsing,
  refuseLong,
  type TenantBudget,
  tenantBudget,
  type YamlText,
} from './parse-texts.ts';
import type { ParsedYaml } from './yaml.ts';

/** In all functions, `tenant` is the `include` of the files, if a tenant writes them. */
export interface Parse {
  /**
   * Parses each text and returns the results in the same order. The mappings in a result have no content yet. Files of
   * a tenant have limits of size, time and memory.
   */
  texts(texts: readonly YamlText[], tenant?: string): Promise<readonly ParsedYaml[]>;
  /** Returns the file as the previous load has read it. */
  known(source: SourceFile, tenant: string | undefined): ReadFile | undefined;
  /** Keeps a file for the next load. */
  keep(file: ReadFile, tenant: string | undefined): void;
  /** The names and targets of the mappings of the main files, from the previous load. */
  readonly claims: ClaimIndex;
  /** Parses the texts of mappings whose parsed texts were dropped. */
  entries(entries: readonly Entry[]): Promise<void>;
}

/**
 * A cache of parsed files. Most files and most mappings do not change, and parsing a thousand mappings takes ten times
 * as long as all other work after a change.
 */
export interface ParsedFiles {
  /** Starts one load. Files that the previous load did not use are dropped from the cache. */
  begin(): Parse;
}

/** The maximum number of characters in a file whose content is kept as objects. */
const MAX_KEPT_LENGTH = 16 * 1024;
/** The maximum length of a packed text without entries that several files share. */
const MAX_SHARED_LENGTH = 256;
const MAX_SHARED = 1_000;

/** What is kept of a file for the next load. */
type Kept =
  | { readonly kind: 'whole'; readonly digest: string; readonly parsing: Packed | ParsedYaml }
  | {
      readonly kind: 'divided';
      readonly text: string;
      readonly division: Division;
      /** The text without its entries. */
      readonly rest: Packed;
      readonly parsed: ParsedYaml;
    };

/** The files of one tenant, or of the operator. A file has other limits if a tenant writes it. */
interface CachedFiles {
  /** By the path that users see. */
  readonly kept: Map<string, Kept>;
  /** By the absolute path. */
  readonly files: Map<string, ReadFile>;
}

interface Cached {
  readonly byTenant: Map<string | undefined, CachedFiles>;
  /** The short texts without entries, by their content. */
  readonly rests: Map<string, Packed>;
}

export function createParsedFiles(options: ParserOptions = {}): ParsedFiles {
  const parse = createParser(options);
  const claims = new ClaimIndex();
  let cached: Cached = { byTenant: new Map(), rests: new Map() };
  return {
    begin() {
      const before = cached;
      cached = { byTenant: new Map(), rests: before.rests };
      return new Load({ parse, claims, before, next: cached });
    },
  };
}

function filesOf({ byTenant }: Cached, tenant: string | undefined): CachedFiles {
  const known = byTenant.get(tenant) ?? { kept: new Map(), files: new Map() };
  byTenant.set(tenant, known);
  return known;
}

interface LoadParts {
  readonly parse: ParseFresh;
  readonly claims: ClaimIndex;
  readonly before: Cached;
  readonly next: Cached;
}

class Load implements Parse {
  readonly claims: ClaimIndex;
  readonly #parse: ParseFresh;
  readonly #before: Cached;
  readonly #next: Cached;

  constructor({ parse, claims, before, next }: LoadParts) {
    this.claims = claims;
    this.#parse = parse;
    this.#before = before;
    this.#next = next;
  }

  known({ absolute, shown }: SourceFile, tenant: string | undefined): ReadFile | undefined {
    const before = filesOf(this.#before, tenant);
    const file = before.files.get(absolute);
    const kept = before.kept.get(shown);
    if (file?.source.shown !== shown || kept === undefined) return undefined;
    // Keep only one copy of the path.
    filesOf(this.#next, tenant).kept.set(file.source.shown, kept);
    return file;
  }

  keep(file: ReadFile, tenant: string | undefined): void {
    const { shown, absolute } = file.source;
    const next = filesOf(this.#next, tenant);
    const kept = next.kept.get(shown);
    // A result that may differ in the next load is not kept.
    if (kept === undefined) return;
    // The content of a file that is not divided takes fifteen times the size of its text.
    if (kept.kind === 'divided' || (file.text?.length ?? 0) <= MAX_KEPT_LENGTH)
      next.files.set(absolute, file);
  }

  async texts(texts: readonly YamlText[], tenant?: string): Promise<readonly ParsedYaml[]> {
    const budget = tenant === undefined ? undefined : tenantBudget(tenant);
    return firstResults(texts, [
      async (all) => all.map((text) => (budget && refuseLong(text)) ?? this.#parsedBefore(text, budget)),
      (others) => this.#parseDivided(others, budget),
      (others) => this.#parseWhole(others, budget),
    ]);
  }

  async entries(entries: readonly Entry[]): Promise<void> {
    const texts = entries.map(({ text }): YamlText => ({ text, file: '', isEntry: true }));
    const fresh = await this.#parse(texts, undefined);
    keepEntries(
      entries,
      fresh.map(({ parsing }) => parsing),
    );
  }

  /** Returns the result of the previous load for the same text. */
  #parsedBefore({ text, file }: YamlText, budget: TenantBudget | undefined): ParsedYaml | undefined {
    const kept = filesOf(this.#before, budget?.group).kept.get(file);
    if (kept?.kind !== 'whole' || kept.digest !== digestOf(text)) return undefined;
    filesOf(this.#next, budget?.group).kept.set(file, kept);
    return contentOf(kept.parsing, file);
  }

  /** Parses what has changed in the files that can be divided. Returns undefined for each other file. */
  async #parseDivided(
    texts: readonly YamlText[],
    budget: TenantBudget | undefined,
  ): Promise<readonly (ParsedYaml | undefined)[]> {
    const before = filesOf(this.#before, budget?.group);
    const plans = texts.map((yamlText) => planOf(yamlText, before.kept.get(yamlText.file)));
    const pieces: YamlText[] = [];
    for (const plan of plans) append(pieces, plan?.pieces ?? []);
    const results = (await this.#parse(pieces, budget)).values();
    return plans.map((plan) => {
      if (plan === undefined) return undefined;
      const { division, file, text, unknown, kept } = plan;
      const fresh = plan.pieces.map(() => results.next().value);
      const parsings = fresh.map((result) => result?.parsing);
      const rest = kept?.rest ?? parsings.shift();
      const refused = parsings.find(isUnpacked);
      if (refused !== undefined) {
        this.#keepWhole({ text, file }, refused, { isFinal: fresh[0]?.isFinal === true, budget });
        return refused;
      }
      if (typeof rest !== 'string' || !keepEntries(unknown, parsings)) return undefined;
      const parsed = assemble(division, rest, file, plan.before);
      if (parsed !== undefined)
        filesOf(this.#next, budget?.group).kept.set(file, {
          kind: 'divided',
          text,
          division,
          parsed,
          rest: this.#shareRest(rest),
        });
      return parsed;
    });
  }

  /** Thousands of ConfigMaps contain nothing but mappings. They share one text, to save memory. */
  #shareRest(rest: Packed): Packed {
    const { rests } = this.#next;
    if (rest.length > MAX_SHARED_LENGTH) return rest;
    const shared = rests.get(rest) ?? rest;
    if (rests.size < MAX_SHARED) rests.set(shared, shared);
    return shared;
  }

  async #parseWhole(
    texts: readonly YamlText[],
    budget: TenantBudget | undefined,
  ): Promise<readonly (ParsedYaml | undefined)[]> {
    const fresh = await this.#parse(texts, budget);
    return texts.map((yamlText, index) => {
      const { parsing, isFinal = false } = fresh[index] ?? {};
      if (parsing === undefined || isEntry(parsing)) return undefined;
      this.#keepWhole(yamlText, parsing, { isFinal, budget });
      return contentOf(parsing, yamlText.file);
    });
  }

  #keepWhole(
    { text, file }: YamlText,
    parsing: Packed | ParsedYaml,
    { isFinal, budget }: { readonly isFinal: boolean; readonly budget: TenantBudget | undefined },
  ): void {
    // Documents with problems are not packed, and may need much memory.
    const isCompact = typeof parsing === 'string' || parsing.documents.length === 0;
    if (isFinal && isCompact)
      filesOf(this.#next, budget?.group).kept.set(file, { kind: 'whole', digest: digestOf(text), parsing });
  }
}

/** Gives each text the result of the first step that has one. Each step gets the texts without a result. */
async function firstResults(
  texts: readonly YamlText[],
  steps: readonly ((texts: readonly YamlText[]) => Promise<readonly (ParsedYaml | undefined)[]>)[],
): Promise<readonly ParsedYaml[]> {
  let results = new Array<ParsedYaml | undefined>(texts.length).fill(undefined);
  for (const step of steps) {
    const found = (await step(texts.filter((_, index) => results[index] === undefined))).values();
    results = results.map((result) => result ?? found.next().value);
  }
  return results.flatMap((result) => result ?? []);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function contentOf(parsing: Packed | ParsedYaml, file: string): ParsedYaml {
  if (typeof parsing !== 'string') return parsing;
  return { documents: unpackNodes(parsing, file), problems: [], isWhole: true };
}

interface Plan {
  readonly file: string;
  readonly text: string;
  readonly division: Division;
  readonly unknown: readonly Entry[];
  /** The texts to parse: the text without its entries if it has changed, and the unknown entries. */
  readonly pieces: readonly YamlText[];
  /** Set if the text without its entries is the same as before. */
  readonly kept: Extract<Kept, { kind: 'divided' }> | undefined;
  readonly before: ParsedYaml | undefined;
}

function planOf({ text, file, namespace }: YamlText, kept: Kept | undefined): Plan | undefined {
  const previous = kept?.kind === 'divided' ? kept : undefined;
  const division = text === previous?.text ? previous.division : divide(text, previous);
  if (division === undefined) return undefined;
  const { head, tail, entries } = division;
  const isSameRest = previous?.division.head === head && previous.division.tail === tail;
  const unknown = entries.map(({ entry }) => entry).filter(({ facts }) => facts === undefined);
  return {
    ...{ file, text, division, unknown, before: previous?.parsed, kept: isSameRest ? previous : undefined },
    pieces: [
      ...(isSameRest ? [] : [{ text: head + tail, file }]),
      ...unknown.map((entry): YamlText => ({ text: entry.text, file, isEntry: true, namespace })),
    ],
  };
}

/** Keeps the results in the entries. Returns whether all entries are valid. */
function keepEntries(entries: readonly Entry[], parsings: readonly Parsing[]): boolean {
  for (const [index, entry] of entries.entries()) {
    const parsing = parsings[index];
    if (parsing === undefined || !isEntry(parsing)) return false;
    entry.packed = parsing.packed;
    entry.facts = compact(parsing.facts);
  }
  return true;
}

/** Another thread sends objects in a form that takes more memory. */
function compact(facts: EntryFacts): EntryFacts {
  const { line, column, size, name, targets, nameLine, nameColumn, targetLine, targetColumn } = facts;
  return { line, column, size, name, targets, nameLine, nameColumn, targetLine, targetColumn };
}

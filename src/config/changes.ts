import { createHash } from 'node:crypto';
import { durationText } from '../core/clock.ts';
import { type FieldChange, isObject } from '../core/json.ts';
import { createListHash, difference } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import type { Config } from './config.ts';
import { isSame } from './diff.ts';
import type { Include } from './shape/include.ts';

/** The maximum length of a value. Records must stay small. */
const MAX_VALUE = 160;

/** The texts of a configuration: its sections have the name `SECTIONS`, and each mapping has its own name. */
export type ConfigTexts = ReadonlyMap<string, string>;

const SECTIONS = '';

/**
 * Returns the changed fields, with short texts as values, sorted by path. A configuration contains no secret values, only references to them.
 * @param before A configuration, or its texts.
 */
export function configChanges(before: Config | ConfigTexts, after: Config): readonly FieldChange[] {
  const old = 'mappings' in before ? partsOf(before) : partsIn(before, after);
  const now = partsOf(after);
  const changes: FieldChange[] = [];
  compare('', plain(old.sections), plain(now.sections), changes);
  // There may be thousands of included files, so compare only those with another state.
  const paths = [...new Set([...old.states.keys(), ...now.states.keys()])];
  const others = paths.filter((path) => old.states.get(path) !== now.states.get(path));
  compare('include', entriesOf(old.states, others), entriesOf(now.states, others), changes);
  // Most mappings are the same objects in both, so compare only the others.
  const { removed, added } = difference(old.mappings, now.mappings);
  compare('mappings', plain(removed.map(ownFields)), plain(added.map(ownFields)), changes);
  const bounded = [...new Set([...boundChanges(old, now), ...removed.map(({ name }) => name)])];
  const [oldBounds, newBounds] = [entriesOf(old.bounds, bounded), entriesOf(now.bounds, bounded)];
  compare('bounds', plain(oldBounds), plain(newBounds), changes);
  return changes.sort((a, b) => compareText(a.path, b.path));
}

/** Returns the names of the mappings of `after` whose bounds differ from those in `before`. */
function boundChanges(before: Pick<Parts, 'bounds'>, after: Pick<Parts, 'bounds' | 'mappings'>): string[] {
  if (before.bounds.size === 0 && after.bounds.size === 0) return [];
  let last: { readonly old: unknown; readonly now: unknown; readonly isSame: boolean } | undefined;
  const changed: string[] = [];
  for (const { name } of after.mappings) {
    const old = before.bounds.get(name);
    const now = after.bounds.get(name);
    // The mappings of one `include` share their bounds.
    if (last === undefined || last.old !== old || last.now !== now)
      last = { old, now, isSame: isSame(old, now) };
    if (!last.isSame) changed.push(name);
  }
  return changed;
}

/** The parts of a configuration that have an effect. */
interface Parts {
  /** All sections besides the mappings and included files. */
  readonly sections: object;
  /** The states of the included files, by path. */
  readonly states: ReadonlyMap<string, string>;
  readonly mappings: readonly Pick<Mapping, 'name' | 'include' | 'policies'>[];
  readonly bounds: Config['bounds'];
}

function partsOf(config: Config): Parts {
  const { mappings, includes, bounds } = config;
  return {
    sections: sectionsOf(config),
    states: new Map(includes.map(({ path, state }) => [path, state])),
    mappings,
    bounds,
  };
}

function sectionsOf({
  mappings: _mappings,
  includes: _includes,
  bounds: _bounds,
  configMapOf: _of,
  withStatus: _status,
  ...sections
}: Config): object {
  return sections;
}

/** Whether two configurations differ at most in their mappings and included files. */
export function hasSameSections(before: Config, after: Config): boolean {
  return isSame(sectionsOf(before), sectionsOf(after));
}

/** Returns what the parts have in JSON, so that parts of a text and of a configuration can be compared. */
function plain(part: object): unknown {
  return JSON.parse(sortedJson(part));
}

/** Returns the entries with these names as an object. */
function entriesOf(all: ReadonlyMap<string, unknown>, names: readonly string[]): object {
  return Object.fromEntries(names.flatMap((name) => (all.has(name) ? [[name, all.get(name)]] : [])));
}

/** Returns the texts of a configuration one by one, because together they are large. They do not depend on the files. */
export function* configTexts(
  config: Config,
  mappings: readonly Mapping[] = config.mappings,
): Iterable<readonly [string, string]> {
  yield [SECTIONS, sectionsText(config)];
  for (const mapping of mappings) yield [mapping.name, mappingText(mapping)];
}

function mappingText(mapping: Mapping): string {
  return sortedJson(ownFields(mapping));
}

/** Returns what only the mapping has. The sections contain all policies and bounds already. */
function ownFields<T extends Pick<Mapping, 'include' | 'policies'>>({ policies: _, include, ...mapping }: T) {
  if (include === undefined) return mapping;
  const { bounds: _bounds, ...own } = include;
  return { ...mapping, include: own };
}

/** Returns the texts that differ between two configurations, and the names of the texts that only the first one has. */
export function changedTexts(
  before: Config,
  after: Config,
): { readonly parts: readonly (readonly [string, string])[]; readonly removed: readonly string[] } {
  const { removed, added } = difference(before.mappings, after.mappings);
  const names = new Set(added.map(({ name }) => name));
  return {
    parts: [...configTexts(after, added)],
    removed: removed.map(({ name }) => name).filter((name) => !names.has(name)),
  };
}

const sectionsTexts = new WeakMap<Config, string>();

/** Each mapping of an `include` names it, and the mappings of one `include` share their bounds. */
function sectionsText(config: Config): string {
  const known = sectionsTexts.get(config);
  if (known !== undefined) return known;
  const { sections, states, bounds } = partsOf(config);
  const rules = new Map<string, Include>();
  for (const rule of bounds.values()) rules.set(rule.path, rule);
  const texts = new Map(Object.entries(sections).map(([name, section]) => [name, keptJson(section)]));
  texts.set('include', objectText(states, JSON.stringify));
  texts.set('bounds', objectText(rules, keptJson));
  const text = objectText(texts, (section) => section);
  sectionsTexts.set(config, text);
  return text;
}

const keptTexts = new WeakMap<object, string>();

/** Returns the text of a part. The next configuration has the same object, unless the part has changed. */
function keptJson(part: unknown): string {
  if (typeof part !== 'object' || part === null) return sortedJson(part);
  const text = keptTexts.get(part) ?? sortedJson(part);
  keptTexts.set(part, text);
  return text;
}

/**
 * Returns what `sortedJson` returns for an object with these members, whose names are not numbers. An empty text leaves a
 * member out.
 */
function objectText<T>(members: ReadonlyMap<string, T>, textOf: (member: T) => string): string {
  const texts: string[] = [];
  for (const [name, member] of [...members].sort(([a], [b]) => compareText(a, b))) {
    const text = textOf(member);
    if (text !== '') texts.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${texts.join(',')}}`;
}

/** Parses only the texts of mappings that differ from those of a configuration. */
function partsIn(texts: ConfigTexts, now: Config): Parts {
  const {
    bounds: byPath,
    include,
    ...sections
  } = JSON.parse(texts.get(SECTIONS) ?? '') as {
    readonly bounds: Readonly<Record<string, Include>>;
    readonly include: Readonly<Record<string, string>>;
  };
  const rules = new Map(Object.entries(byPath));
  const byName = new Map(now.mappings.map((mapping) => [mapping.name, mapping]));
  const mappings: Parts['mappings'][number][] = [];
  for (const [name, text] of texts) {
    if (name === SECTIONS) continue;
    const mapping = byName.get(name);
    const isSame = mapping !== undefined && mappingText(mapping) === text;
    mappings.push(isSame ? mapping : (JSON.parse(text) as Parts['mappings'][number]));
  }
  const bounds = new Map(
    mappings.flatMap(({ name, include }): [string, Include][] => {
      const rule = rules.get(include?.path ?? '');
      return rule === undefined ? [] : [[name, rule]];
    }),
  );
  return { sections, states: new Map(Object.entries(include)), mappings, bounds };
}

const hashes = new WeakMap<Config, string>();
const hashOfMappings = createListHash<Mapping>(mappingText);

/** Returns the hash of `configTexts` in hex. It does not depend on their order. */
export function configHash(config: Config): string {
  const hash = hashes.get(config) ?? combinedHash(sectionsText(config), hashOfMappings(config.mappings));
  hashes.set(config, hash);
  return hash;
}

/** Returns the same as `configHash`, from the texts of the configuration. */
export function textsHash(texts: ConfigTexts): string {
  const mappings = [...texts].flatMap(([name, text]) => (name === SECTIONS ? [] : text));
  return combinedHash(texts.get(SECTIONS) ?? '', createListHash((text: string) => text)(mappings));
}

function combinedHash(sections: string, ofMappings: string): string {
  return createHash('sha256').update(`${sections}\n${ofMappings}`).digest('hex');
}

function compare(path: string, before: unknown, after: unknown, changes: FieldChange[]): void {
  if (Object.is(before, after)) return;
  const [old, now] = [membersOf(before), membersOf(after)];
  if (old === undefined || now === undefined || path.split('.').length > MAX_DEPTH) {
    if (sortedJson(before) !== sortedJson(after)) changes.push(changeOf(path, before, after));
    return;
  }
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)]))
    compare(path === '' ? name : `${path}.${name}`, old[name], now[name], changes);
}

const MAX_DEPTH = 16;

/** Files have durations as text, such as `5m`. The configuration has them in milliseconds. */
const DURATION_FIELD = /Ms$/;

function changeOf(path: string, before: unknown, after: unknown): FieldChange {
  const isDuration = DURATION_FIELD.test(path);
  const shown = (value: unknown) =>
    isDuration && typeof value === 'number' ? durationText(value) : textOf(value);
  const [oldText, newText] = [shown(before), shown(after)];
  return {
    path: isDuration ? path.replace(DURATION_FIELD, '') : path,
    ...(oldText === undefined ? {} : { before: oldText }),
    ...(newText === undefined ? {} : { after: newText }),
  };
}

/** Returns the members of an object, or the entries of a list by their names or numbers. */
function membersOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!Array.isArray(value)) return isObject(value) ? value : undefined;
  return Object.fromEntries(
    value.map((entry: unknown, index): [string, unknown] => [
      isObject(entry) && typeof entry.name === 'string' ? entry.name : String(index),
      entry,
    ]),
  );
}

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' ? value : sortedJson(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE).toWellFormed()}…` : text;
}

function sortedJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      const members = Array.isArray(part) && part.every((entry) => isObject(entry) && 'name' in entry);
      const shown = members ? membersOf(part) : part;
      return isObject(shown)
        ? Object.fromEntries(Object.entries(shown).sort(([a], [b]) => compareText(a, b)))
        : shown;
    }) ?? ''
  );
}

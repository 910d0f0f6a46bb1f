import { isObject } from '../core/json.ts';
import type { Config } from './config.ts';

export interface NamedChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export interface ConfigDiff {
  readonly stores: NamedChanges;
  readonly mappings: NamedChanges;
  /** Whether the `access` rules, or the bounds of an `include`, are others. */
  readonly access: boolean;
  /** Whether `events` is another. */
  readonly events: boolean;
  /** Sections that only a service that is opened anew takes up. */
  readonly restart: readonly Section[];
}

/** What is applied to a running service part by part, or says only where something stands. */
type Live = 'stores' | 'mappings' | 'access' | 'bounds' | 'events' | 'places';
export type Section = Exclude<keyof Config, Live>;

const SECTIONS = {
  instance: true,
  formerInstances: true,
  cluster: true,
  engine: true,
  audit: true,
  keys: true,
  http: true,
  log: true,
  tracing: true,
  brake: true,
  absence: true,
  restarts: true,
} as const satisfies Record<Section, true>;

/** What of a configuration is another in the other one: by content, whatever its files and the order in them. */
export function diffConfig(before: Config, after: Config): ConfigDiff {
  const sections = Object.keys(SECTIONS) as Section[];
  return {
    stores: byName(before.stores, after.stores),
    mappings: byName(before.mappings, after.mappings),
    access: rulesOf(before) !== rulesOf(after),
    events: text(before.events) !== text(after.events),
    restart: sections.filter((name) => sectionText(before, name) !== sectionText(after, name)),
  };
}

export function isEmptyDiff({ stores, mappings, access, events, restart }: ConfigDiff): boolean {
  const names = [stores, mappings].flatMap(({ added, removed, changed }) => [
    ...added,
    ...removed,
    ...changed,
  ]);
  return names.length === 0 && !access && !events && restart.length === 0;
}

function byName(before: readonly { name: string }[], after: readonly { name: string }[]): NamedChanges {
  const old = new Map(before.map((it) => [it.name, it]));
  const now = new Map(after.map((it) => [it.name, it]));
  return {
    added: [...now.keys()].filter((name) => !old.has(name)).sort(),
    removed: [...old.keys()].filter((name) => !now.has(name)).sort(),
    changed: [...now]
      .flatMap(([name, it]) => (old.has(name) && !isSame(old.get(name), it) ? [name] : []))
      .sort(),
  };
}

/** What `text` says of both, in a tenth of the time: the service stands still while ten thousand are compared. */
function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isSame(item, other[index]));
  if (!isObject(one) || !isObject(other)) return one === other;
  return (
    Object.keys(one).every((name) => isSame(one[name], other[name])) &&
    Object.keys(other).every((name) => Object.hasOwn(one, name) || other[name] === undefined)
  );
}

/** Any rule that allows is enough, so their order says nothing; no rules at all is not the same as an empty list. */
function rulesOf({ access, bounds }: Config): string {
  return text([access && sortedTexts(access), sortedTexts([...bounds])]);
}

/** Several files may add former names, in any order. */
function sectionText(config: Config, name: Section): string {
  return name === 'formerInstances' ? text([...config.formerInstances].sort()) : text(config[name]);
}

function sortedTexts(items: readonly unknown[]): readonly string[] {
  return items.map(text).sort();
}

/** The same for the same content: members in the order of their names, without those that are undefined. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

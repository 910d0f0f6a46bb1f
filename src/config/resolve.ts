import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { z } from 'zod';
import { matches } from '../core/glob.ts';
import type { Mapping, Naming, Policy, Search, Spread } from '../core/mapping.ts';
import { nameRulesOf } from '../providers/registry.ts';
import type { Config } from './config.ts';
import { locate } from './files/merge.ts';
import { isFreeForm } from './files/raw.ts';
import type { Located } from './files/yaml.ts';
import type { Path } from './problem.ts';
import type { ConfigFile } from './schema.ts';
import { type Include, includeOf } from './shape/include.ts';
import type { MappingConfig } from './shape/mapping.ts';

export type ParsedFile = z.output<typeof ConfigFile>;
export type Sections = Omit<ParsedFile, 'mappings'>;

/** A mapping that is valid by itself. */
export interface ValidMapping {
  readonly node: Located;
  /** The `refresh` of the mapping itself, in milliseconds. */
  readonly refresh: number | undefined;
  readonly mapping: Mapping;
  /** `undefined` if the mapping comes from a main file. */
  readonly include: Include | undefined;
}

export interface ResolveDeps {
  /** Returns the absolute path of a file. `file` is the name of this file in a `Place`. */
  absolute(file: string): string;
  /** The home folder, for paths that start with `~/`. */
  readonly home: string | undefined;
}

export interface ResolveOptions extends ResolveDeps {
  readonly mappings: readonly ValidMapping[];
  readonly includes: Config['includes'];
}

/**
 * The minimum refresh interval. The service looks for due targets four times a second, so a shorter interval has no
 * effect.
 */
const MIN_REFRESH_MS = 250;

/** Fills in values that depend on other sections: paths, key files. */
export function resolveConfig(file: Sections, root: Located, deps: ResolveOptions): Config {
  const folderOf = folderIn(root, deps);
  const withLocalPaths = <T>(section: T, path: Path): T =>
    withAbsolutePaths(section, folderOf(path), deps.home);

  const audit = withLocalPaths(file.audit, ['audit']);
  // Key files are created beside the SQLite database, so that they move with it. For other databases,
  // `checks/service.ts` requires explicit keys.
  const state = audit.store.kind === 'sqlite' ? dirname(audit.store.path) : join(folderOf([]), 'state');
  const keys = withLocalPaths(file.keys, ['keys']);
  const [newest = { file: join(state, 'fingerprint.key') }, ...older] = keys.fingerprint ?? [];
  return {
    instance: file.instance,
    // Remove duplicates, because the service adds up the results for all names.
    formerInstances: [...new Set(file.formerInstances)].filter((name) => name !== file.instance),
    cluster: withLocalPaths(file.cluster, ['cluster']),
    engine: withLocalPaths(file.engine, ['engine']),
    audit: {
      store: audit.store,
      checkpoints: audit.checkpoints ?? defaultCheckpoints(file, state),
      retentionMs: audit.retention,
      archive: audit.archive,
      stdout: audit.stdout,
    },
    keys: {
      fingerprint: [newest, ...older],
      checkpoint: keys.checkpoint ?? { file: join(state, 'checkpoint.key') },
    },
    http: resolveHttp(file.http, root, deps),
    log: file.log,
    tracing: withLocalPaths(file.tracing, ['tracing']),
    brake: { share: file.brake.share, windowMs: file.brake.window },
    absence: { readings: file.absence.readings, overMs: file.absence.over },
    restarts: { windowMs: file.restarts.window, atOnce: file.restarts.atOnce },
    events: withLocalPaths(file.events, ['events']),
    stores: file.stores.map((store, index) => withLocalPaths(store, ['stores', index])),
    mappings: deps.mappings.map(({ mapping }) => mapping),
    approvals: file.approvals,
    windows: file.windows,
    policies: file.policies,
    notify: file.notify.map((channel, index) => withLocalPaths(channel, ['notify', index])),
    access: file.access,
    bounds: boundsOf(deps),
    ...selectedConfigMaps(file),
    includes: deps.includes,
  };
}

/**
 * With PostgreSQL, checkpoints need a key that all replicas share, so without one there is no default. In a cluster, all
 * replicas share a ConfigMap.
 */
function defaultCheckpoints(
  { audit, keys, cluster, instance }: Sections,
  state: string,
): Config['audit']['checkpoints'] {
  const path = join(state, 'checkpoints.jsonl');
  if (audit.store.kind === 'sqlite') return [{ kind: 'file', path }];
  if (keys.checkpoint === undefined) return [];
  if (cluster.kind === 'directory') return [{ kind: 'file', path }];
  return [{ kind: 'ownConfigMap', name: `secretbridge-${instance}-checkpoints`, path }];
}

/** Resolves the `http` section alone, because a service needs its address even if other sections are invalid. */
export function resolveHttp(http: ParsedFile['http'], root: Located, deps: ResolveDeps): Config['http'] {
  return withAbsolutePaths(http, folderIn(root, deps)(['http']), deps.home);
}

/** Resolves the `cluster` section alone, because ConfigMaps are read before the other sections are complete. */
export function resolveCluster(
  cluster: ParsedFile['cluster'],
  root: Located,
  deps: ResolveDeps,
): Config['cluster'] {
  return withAbsolutePaths(cluster, folderIn(root, deps)(['cluster']), deps.home);
}

function folderIn(root: Located, { absolute }: ResolveDeps): (path: Path) => string {
  return (path) => dirname(absolute(locate(root, path).file));
}

function selectedConfigMaps({ include }: Sections): Pick<Config, 'selectedConfigMaps'> {
  const selected = include.flatMap(({ configMaps, namespaces, statusAnnotation }) =>
    configMaps === undefined
      ? []
      : [{ selector: configMaps, namespaces, ...(statusAnnotation === true ? { statusAnnotation } : {}) }],
  );
  return selected.length === 0 ? {} : { selectedConfigMaps: selected };
}

function boundsOf({ mappings }: ResolveOptions): ReadonlyMap<string, Include> {
  const bounds = new Map<string, Include>();
  for (const { mapping, include } of mappings) if (include !== undefined) bounds.set(mapping.name, include);
  return bounds;
}

/** Returns a function that fills in the defaults of a mapping, and what depends on its stores and its `include`. */
export function createMappingResolver({
  defaults,
  stores,
  policies,
}: Pick<Sections, 'defaults' | 'stores' | 'policies'>): (
  mapping: MappingConfig,
  bound: Include | undefined,
) => Mapping {
  const namings = new Map(stores.map((store) => [store.name, nameRulesOf(store.kind)?.naming ?? {}]));
  const policiesFor = createPolicyFilter(policies);
  return (mapping, bound) => {
    const { namespace, namespaces = NOTHING, ...target } = mapping.target;
    return {
      name: mapping.name,
      target: {
        ...target,
        labels: orEmpty(target.labels),
        annotations: orEmpty(target.annotations),
        namespaces: namespace === undefined ? namespaces : [namespace],
        secret: target.secret ?? mapping.name,
      },
      data: mapping.data,
      dataFrom: orNothing(mapping.dataFrom.map((entry) => resolveSourceList(entry, namings))),
      template: mapping.template,
      restart: orNothing(mapping.restart),
      refreshMs: Math.max(mapping.refresh ?? defaults.refresh, MIN_REFRESH_MS, bound?.limits.refreshMs ?? 0),
      onConflict: mapping.onConflict ?? defaults.onConflict,
      onDrift: mapping.onDrift ?? defaults.onDrift,
      onSourceMissing: mapping.onSourceMissing ?? defaults.onSourceMissing,
      softDeletedIsMissing: mapping.softDeletedIsMissing ?? defaults.softDeletedIsMissing,
      onMappingRemoved: mapping.onMappingRemoved ?? defaults.onMappingRemoved,
      maxAgeMs: mapping.maxAge ?? defaults.maxAge,
      ...(bound === undefined ? {} : { include: includeOf(bound) }),
      ...policiesFor(namespace === undefined ? namespaces : [namespace], mapping.target.namespaceSelector),
    };
  };
}

/** Mappings with the same policies share one list, to save memory. The namespaces of a selector are not known yet. */
function createPolicyFilter(
  policies: readonly Policy[],
): (namespaces: readonly string[], selector: unknown) => Pick<Mapping, 'policies'> {
  if (policies.length === 0) return () => ({});
  const lists = new Map<string, Pick<Mapping, 'policies'>>();
  return (namespaces, selector) => {
    const applicable = policies.map(
      (policy) =>
        selector !== undefined ||
        policy.namespaces.some((glob) => namespaces.some((namespace) => matches(glob, namespace))),
    );
    const id = applicable.join();
    const known = lists.get(id);
    if (known !== undefined) return known;
    const chosen = policies.filter((_, index) => applicable[index]);
    const list = chosen.length === 0 ? {} : { policies: chosen };
    lists.set(id, list);
    return list;
  };
}

// Most mappings have none of these, so they share one object, to save memory.
const EMPTY: Readonly<Record<string, string>> = {};
const NOTHING: readonly never[] = [];

function orEmpty(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.keys(texts).length === 0 ? EMPTY : texts;
}

function orNothing<T>(items: readonly T[]): readonly T[] {
  return items.length === 0 ? NOTHING : items;
}

function resolveSourceList(
  { key, find, ...rest }: MappingConfig['dataFrom'][number],
  namings: ReadonlyMap<string, Naming>,
): Spread | Search {
  const { store, decode, rename } = rest;
  const optional = rest.optional ? ({ optional: true } as const) : {};
  if (find !== undefined) return { store, find, decode, rename, ...optional, ...namings.get(store) };
  // The schema guarantees that either `find` or `key` is set.
  return { ...rest, key: key ?? '' };
}

/** Names of fields that contain local paths. Mappings contain no such fields. */
const LOCAL_PATH = /^(?:path|file|kubeconfig|[a-z]+File)$/;

/** Makes local paths absolute. A relative path is relative to the file that contains it. */
function withAbsolutePaths<T>(value: T, folder: string, home: string | undefined): T {
  return walk(value) as T;

  function walk(node: unknown): unknown {
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(
      Object.entries(node).map(([name, member]) => {
        const local = LOCAL_PATH.test(name) && typeof member === 'string';
        if (local) return [name, absolutePath(member, folder, home)];
        return [name, isFreeForm(name) ? member : walk(member)];
      }),
    );
  }
}

export function absolutePath(path: string, folder: string, home: string | undefined): string {
  if (isAbsolute(path)) return path;
  if (path.startsWith('~/') && home !== undefined) return join(home, path.slice(2));
  return resolve(folder, path);
}

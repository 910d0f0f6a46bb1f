import type { Cluster } from '../cluster/cluster.ts';
import { hasSameSections } from '../config/changes.ts';
import type { Config, IncludeState } from '../config/config.ts';
import { type Excess, findExcess } from '../config/limits.ts';
import { type Access, createAccess } from '../config/shape/access.ts';
import { AppError } from '../core/errors.ts';
import { matches } from '../core/glob.ts';
import { difference } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import type { AbsenceRule } from '../reconcile/failed-reads.ts';
import { TargetIndex } from '../reconcile/target-index.ts';
import {
  createTargetResolver,
  type DesiredTarget,
  desiredByAny,
  unresolvedTargets,
} from '../reconcile/targets.ts';
import { searchesOf, sourcesOf } from '../sync/desired.ts';
import { absenceRuleOf } from './stores.ts';

/** The active configuration and its resolved targets. */
export interface CurrentConfig {
  readonly config: Config;
  /** The access rules of the configuration. */
  readonly access: Access;
  /** The targets that the last call of `resolve` found. */
  readonly targets: readonly DesiredTarget[];
  /** Checks whether a target belongs to a mapping. If the access rules deny a target, it belongs to no mapping. */
  readonly claims: (mapping: string, id: TargetId) => boolean;
  /** Returns an error if a mapping must not write a target: a namespace, a type, or a limit of its `include`. */
  forbiddenTarget(mapping: Mapping, id: TargetId): AppError | undefined;
  /** Returns how an absence of a source is proved. Undefined if an absence cannot remove or leave out anything. */
  absenceRule(source: StoreRef): AbsenceRule | undefined;
  /** Resolves the namespace selectors. Returns all targets of the configuration. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** Becomes another object when more than mappings and included files changes, such as stores or access rules. */
  readonly rules: object;
  /** Replaces the configuration. `targets` changes only at the next `resolve`. */
  replace(next: Config): void;
}

export function createCurrentConfig(config: Config, cluster: Cluster): CurrentConfig {
  let current = config;
  let rules = {};
  const ownNamespace = (): string | undefined => guardedNamespace(current, cluster);
  let access = createAccess(config, ownNamespace);
  const resolveAll = createTargetResolver();
  let targets = unresolvedTargets(config.mappings);
  const index = new TargetIndex();
  index.update({ removed: [], added: targets });
  const isAllowed = ({ mapping, id }: DesiredTarget) =>
    access.allowsNamespace({ mapping, namespace: id.namespace });
  const claimsNow = () =>
    withDisabled(
      (mapping, id) => index.wants(mapping, id, isAllowed),
      current,
      () => targets.filter(isAllowed),
    );
  let wants = claimsNow();
  let mayRemove = createRemovalCheck(config.mappings);
  let beyondLimit = createLimitCheck(current, targets);
  return {
    get config() {
      return current;
    },
    get access() {
      return access;
    },
    get targets() {
      return targets;
    },
    get rules() {
      return rules;
    },
    get claims() {
      return wants;
    },
    forbiddenTarget: (mapping, id) =>
      access.forbiddenNamespace(id.namespace) ??
      access.forbiddenType({ mapping, type: mapping.target.type }) ??
      beyondLimit(mapping, id),
    absenceRule: (source) => (mayRemove(source) ? absenceRuleOf(current, source.store) : undefined),
    async resolve() {
      const before = targets;
      targets = await resolveAll(current.mappings, cluster, ownNamespace());
      index.update(difference(before, targets));
      wants = claimsNow();
      beyondLimit = createLimitCheck(current, targets);
      return targets;
    },
    replace(next) {
      if (!hasSameSections(current, next)) rules = {};
      current = next;
      access = createAccess(next, ownNamespace);
      mayRemove = createRemovalCheck(next.mappings);
    },
  };
}

/**
 * Also counts the targets of disabled files as wanted by their mappings, so that no other tenant takes them over. The
 * mappings of the main files win over them.
 */
function withDisabled(
  wants: CurrentConfig['claims'],
  config: Config,
  targets: () => readonly DesiredTarget[],
): CurrentConfig['claims'] {
  const disabledAt = findDisabled(config);
  if (disabledAt === undefined) return wants;
  const known = new Set(config.mappings.map(({ name }) => name));
  const isWantedByMain = desiredByAny(targets().filter(({ mapping }) => mapping.include === undefined));
  return (mapping, id) =>
    wants(mapping, id) ||
    (!known.has(mapping) && disabledAt(id.namespace) !== undefined && !isWantedByMain(id));
}

/**
 * Returns a function that finds the disabled file that may have targets in a namespace. Returns undefined if no file is
 * disabled. The mappings of a disabled file are unknown, so all targets within its bounds may be its own.
 */
export function findDisabled({
  includes,
}: Pick<Config, 'includes'>): ((namespace: string) => IncludeState | undefined) | undefined {
  const disabled = includes.filter(({ state }) => state === 'disabled');
  if (disabled.length === 0) return undefined;
  return (namespace) =>
    disabled.find(({ namespaces }) => namespaces.some((glob) => matches(glob, namespace)));
}

/**
 * Returns a function that reports whether the absence of a source may remove something: a key, a target, or the keys of
 * an optional source. A search may find any key of its store.
 */
function createRemovalCheck(mappings: readonly Mapping[]): (source: StoreRef) => boolean {
  let found: { readonly keys: ReadonlySet<string>; readonly stores: ReadonlySet<string> } | undefined;
  return ({ store, ref }) => {
    // Visit the mappings only when the first source is missing.
    found ??= removableSources(mappings);
    return found.stores.has(store) || found.keys.has(JSON.stringify([store, ref.key]));
  };
}

function removableSources(mappings: readonly Mapping[]) {
  const keys = new Set<string>();
  const stores = new Set<string>();
  const mayGo = ({ onSourceMissing }: Mapping, { optional }: { readonly optional?: boolean | undefined }) =>
    onSourceMissing !== 'keep' || optional === true;
  for (const mapping of mappings) {
    for (const source of sourcesOf(mapping))
      if (mayGo(mapping, source)) keys.add(JSON.stringify([source.store, source.key]));
    for (const search of searchesOf(mapping)) if (mayGo(mapping, search)) stores.add(search.store);
  }
  return { keys, stores };
}

/** Returns a function that returns an error for each target beyond a limit of its `include`. */
export function createLimitCheck(
  { mappings, bounds }: Config,
  targets: readonly DesiredTarget[],
): (mapping: Mapping, id: TargetId) => AppError | undefined {
  const limited = mappings.flatMap((mapping) => {
    const include = bounds.get(mapping.name);
    return include === undefined ? [] : [{ mapping, include }];
  });
  if (limited.length === 0) return () => undefined;
  const byMapping = Map.groupBy(targets, ({ mapping }) => mapping.name);
  const found = findExcess(
    limited.map(({ mapping, include }) => ({
      include,
      mapping,
      namespaces: (byMapping.get(mapping.name) ?? []).map(({ id }) => id.namespace),
    })),
  );
  const excess = new Map(
    limited.flatMap(({ mapping }, index): [string, Excess][] => {
      const beyond = found[index];
      return beyond === undefined ? [] : [[mapping.name, beyond]];
    }),
  );
  return ({ name }, { namespace }) => {
    const beyond = excess.get(name);
    if (beyond === undefined || beyond.namespaces?.has(namespace) === false) return undefined;
    return new AppError('LIMIT_REACHED', { subject: `mapping ${name}`, detail: beyond.reason });
  };
}

/**
 * Returns the namespace that contains secretbridge's own credentials. No mapping may write to this namespace. Outside
 * of a cluster, returns the namespace of the kubeconfig context if the configuration contains a `secretRef`, and
 * undefined otherwise.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}

const cache = new WeakMap<object, readonly string[]>();

/**
 * Returns the sorted names of the Secrets from which the configuration reads credentials. These Secrets are in
 * secretbridge's own namespace.
 */
export function secretRefsOf(config: object): readonly string[] {
  // Cache the names, because each check of a source needs them. A configuration never changes, so it can be the key of
  // the cache.
  const names = cache.get(config) ?? collectNames(config);
  cache.set(config, names);
  return names;
}

/** Sections that contain no credentials, and may be long. */
const WITHOUT_CREDENTIALS: ReadonlySet<string> = new Set([
  'mappings',
  'bounds',
  'includes',
  'configMapOf',
  'withStatus',
]);

function collectNames(config: object): readonly string[] {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('secretRef' in value && isSecretRef(value.secretRef)) names.add(value.secretRef.name);
    for (const part of Object.values(value)) visit(part);
  };
  for (const [section, value] of Object.entries(config)) if (!WITHOUT_CREDENTIALS.has(section)) visit(value);
  return [...names].sort();
}

function isSecretRef(value: unknown): value is { name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

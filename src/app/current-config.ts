import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { type Access, createAccess } from '../config/shape/access.ts';
import { type DesiredTarget, desiredIndex, resolveTargets, unresolvedTargets } from '../reconcile/targets.ts';

/** The active configuration and its resolved targets. */
export interface CurrentConfig {
  readonly config: Config;
  /** The access rules of the configuration. */
  readonly access: Access;
  /** The targets that the last call of `resolve` found. */
  readonly targets: readonly DesiredTarget[];
  /** Checks whether a target belongs to a mapping. If the access rules deny a target, it belongs to no mapping. */
  readonly claims: ReturnType<typeof desiredIndex>;
  /** Resolves the namespace selectors. Returns all targets of the configuration. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** Replaces the configuration. `targets` changes only at the next `resolve`. */
  replace(next: Config): void;
}

export function createCurrentConfig(config: Config, cluster: Cluster): CurrentConfig {
  let current = config;
  const ownNamespace = (): string | undefined => guardedNamespace(current, cluster);
  let access = createAccess(config, ownNamespace);
  let targets = unresolvedTargets(config.mappings);
  const indexClaims = () =>
    desiredIndex(
      targets.filter(({ mapping, id }) =>
        access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }),
      ),
    );
  let wants = indexClaims();
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
    get claims() {
      return wants;
    },
    async resolve() {
      targets = await resolveTargets(current.mappings, cluster, ownNamespace());
      wants = indexClaims();
      return targets;
    },
    replace(next) {
      current = next;
      access = createAccess(next, ownNamespace);
    },
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

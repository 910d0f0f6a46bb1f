import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { type Access, createAccess } from '../config/shape/access.ts';
import { type DesiredTarget, desiredIndex, resolveTargets, unresolvedTargets } from '../reconcile/targets.ts';
import { secretRefsOf } from './secret-refs.ts';

/** The active configuration and its resolved targets. */
export interface CurrentConfig {
  readonly config: Config;
  /** The access rules of the configuration. */
  readonly access: Access;
  /** The targets that the last `resolve` found. */
  readonly targets: readonly DesiredTarget[];
  /** Checks whether a mapping claims a target. Targets that the access rules deny are never claimed. */
  readonly claims: ReturnType<typeof desiredIndex>;
  /** Resolves the namespace selectors and returns the new targets. */
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
 * Returns the namespace that contains secretbridge's own credentials. No mapping may write to it. Outside a cluster, it
 * is the namespace of the kubeconfig context, and only if a `secretRef` reads from it.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}

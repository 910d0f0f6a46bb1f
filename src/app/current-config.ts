import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { type Access, createAccess } from '../config/shape/access.ts';
import { type DesiredTarget, desiredIndex, resolveTargets, unresolvedTargets } from '../reconcile/targets.ts';
import { secretRefsOf } from './secret-refs.ts';

/** The active configuration and its resolved targets. */
export interface CurrentConfig {
  readonly config: Config;
  /** Its access rules. */
  readonly access: Access;
  /** As found by the last `resolve`. */
  readonly targets: readonly DesiredTarget[];
  /** Whether a mapping claims a target. A mapping cannot claim a target that it may not have. */
  readonly claims: ReturnType<typeof desiredIndex>;
  /** Resolves namespace selectors. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** Replaces the configuration. The targets stay the previous ones until `resolve`. */
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
 * The namespace with the bridge's own credentials, which no mapping may write to. Outside a cluster, it is the
 * namespace of the kubeconfig's context, and only if a `secretRef` reads from it.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}
